"""Checkpoints whose linear layers bitsandbytes quantised, to 8 bits (LLM.int8) or 4 (NF4, FP4).

transformers loads them itself; see `engines.stored`.

* int8: Dettmers et al., "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale", 2022.
* nf4: Dettmers et al., "QLoRA: Efficient Finetuning of Quantized LLMs", 2023.
"""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.extras import require
from pytest_slmsec.engines.common.checkpoint import Checkpoint
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings

FACTS_4BIT = ("bnb_4bit_quant_type", "bnb_4bit_use_double_quant")
OUTLIERS = "llm_int8_threshold"
PARTS_4BIT = ("absmax", "quant_map")
PARTS_DOUBLE = ("nested_absmax", "nested_quant_map")


def import_bitsandbytes() -> Any:
    """The package bitsandbytes.

    Where the package `kernels` is installed, bitsandbytes would download a kernel from the Hugging Face hub when it is
    imported, and run it. It is kept from seeing that package: nothing is fetched or run that was not asked for.

    Raises:
        MissingExtraError: it, or accelerate, is not installed.
    """
    require("A model quantised by bitsandbytes", "bitsandbytes", "bitsandbytes", "accelerate")
    with quiet(), _without("kernels"):
        import bitsandbytes
    # It says at every layer of every forward that activations are cast to fp16 before they are rounded to 8 bits.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    return bitsandbytes


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Have `import package` fail, unless it is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # what the import system takes for "not importable"
    try:
        yield
    finally:
        del sys.modules[package]


def check(checkpoint: Checkpoint, device: torch.device) -> None:
    """Refuse a checkpoint that lacks scales: bitsandbytes would run it on what happens to be in memory.

    Raises:
        ModelError: naming the first tensors that are missing. MissingExtraError: bitsandbytes is not installed.
    """
    import_bitsandbytes()
    if missing := sorted(_missing(checkpoint)):
        raise ModelError(
            f"{checkpoint.directory}: the weights are not complete: {len(missing)} missing ({missing[0]}"
            f"{', ...' if len(missing) > 1 else ''}): make the checkpoint again."
        )


def _missing(checkpoint: Checkpoint) -> Iterator[str]:
    """Names that belong to quantised layers and are not stored.

    A quantised weight is one of integers: of 8 bits and signed for LLM.int8, with `SCB` beside it; else 4-bit, packed.
    """
    tensors, config = checkpoint.tensors, checkpoint.config["quantization_config"]
    for name, dtype in tensors.items():
        layer, _, kind = name.rpartition(".")
        if kind != "weight":
            continue
        if dtype == "I8":
            wanted = [f"{layer}.SCB"]
        elif dtype == "U8":
            parts = (*PARTS_4BIT, *(PARTS_DOUBLE if config.get("bnb_4bit_use_double_quant") else ()))
            state = f"quant_state.bitsandbytes__{config.get('bnb_4bit_quant_type', 'fp4')}"
            wanted = [f"{name}.{part}" for part in (*parts, state)]
        else:
            continue
        yield from (part for part in wanted if part not in tensors)


def load_options(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    """Loaded to where it runs: layers of 8 bits cannot be moved later."""
    return {"device_map": {"": str(device)}}


def settle(model: Any, dtype: torch.dtype) -> None:
    """Compute in `dtype`, whatever dtype the checkpoint was trained or made with.

    What is not quantised would otherwise keep the dtype it is stored in, whatever transformers is asked for. In fp32
    on a CPU the weights are unpacked exactly as stored: bitsandbytes' own kernel for CPUs with AVX512-BF16 would
    compute in bf16 whatever it is given, round the scales to bf16, and leave weights that can no longer be saved.
    """
    bnb = import_bitsandbytes()
    kept = tuple(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and not any(part in kept for part in name.split(".")):
            parameter.data = parameter.data.to(dtype)
    for module in model.modules():
        if isinstance(module, bnb.nn.Linear4bit):
            module.compute_dtype, module.compute_type_is_set = dtype, True
            if dtype == torch.float32:
                module.support_avx512bf16_for_cpu = False


def settings(checkpoint: Checkpoint, settings: EngineSettings) -> EngineSettings:
    """One question at a time for LLM.int8, unless the user asks for batches.

    Columns with an activation above the threshold are computed unrounded, for all rows of a batch: what an answer is
    then depends on what else is in its batch.
    """
    if not depends_on_batch(checkpoint) or settings.batch_tokens is not None:
        return settings
    return replace(settings, packing=False, max_batch=1)


def depends_on_batch(checkpoint: Checkpoint) -> bool:
    """Whether outliers are looked for in a whole batch."""
    config = checkpoint.config["quantization_config"]
    return bool(config.get("load_in_8bit")) and (config.get(OUTLIERS) or 0) > 0


def kernel(model: Any) -> str | None:
    """The classes of the quantised layers, most frequent first, and how those of 4 bits compute."""
    bnb = import_bitsandbytes()

    kinds = Counter(
        _name(module) for module in model.modules() if isinstance(module, bnb.nn.Linear4bit | bnb.nn.Linear8bitLt)
    )
    return "+".join(name for name, _ in kinds.most_common()) or None


def _name(module: Any) -> str:
    name = f"bitsandbytes.{type(module).__name__}"
    portable = module.weight.device.type == "cpu" and getattr(module, "support_avx512bf16_for_cpu", None) is False
    return f"{name}.dequantize" if portable else name


def facts(checkpoint: Checkpoint) -> dict[str, object]:
    """Bits, number format, and whether answers depend on what else is in a batch."""
    config = checkpoint.config["quantization_config"]
    if config.get("load_in_4bit"):
        return {"bits": 4, **{key.removeprefix("bnb_4bit_"): config.get(key) for key in FACTS_4BIT}}
    return {"bits": 8, OUTLIERS: config.get(OUTLIERS), "depends_on_batch": depends_on_batch(checkpoint)}
