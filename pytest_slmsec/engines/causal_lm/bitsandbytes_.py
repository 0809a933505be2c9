"""Checkpoints with linear layers quantised by bitsandbytes to 8 bits (LLM.int8) or 4 (NF4, FP4).

See `engines.common.stored`.

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

    If the package `kernels` is installed, bitsandbytes downloads a kernel from the Hugging Face hub at its import, and
    runs it. So `kernels` is hidden during the import: nothing may be downloaded that the user did not ask for.

    Raises:
        MissingExtraError: it, or accelerate, is not installed.
    """
    require("A model quantised by bitsandbytes", "bitsandbytes", "bitsandbytes", "accelerate")
    with quiet(), _without("kernels"):
        import bitsandbytes
    # It logs for every layer of every forward pass that activations are cast to fp16 before they are quantised.
    logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
    return bitsandbytes


@contextmanager
def _without(package: str) -> Iterator[None]:
    """Make `import package` fail inside the block, unless the package is imported already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # the import system reads None as "not importable"
    try:
        yield
    finally:
        del sys.modules[package]


def check(checkpoint: Checkpoint, device: torch.device) -> None:
    """Refuse a checkpoint without its scales, which bitsandbytes would run on uninitialised memory.

    Raises:
        ModelError: names the first tensor that is missing. MissingExtraError: bitsandbytes is not installed.
    """
    import_bitsandbytes()
    missing = sorted(_missing(checkpoint))
    if missing:
        raise ModelError(
            f"{checkpoint.directory}: the weights are not complete: {len(missing)} missing ({missing[0]}"
            f"{', ...' if len(missing) > 1 else ''}): make the checkpoint again."
        )


def _missing(checkpoint: Checkpoint) -> Iterator[str]:
    """Names of tensors that quantised layers need and that are not stored.

    Quantised weights have integer dtypes: I8 for LLM.int8, which needs `SCB`; U8 for packed 4-bit weights.
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
    """Load the weights on the device at once, because 8-bit layers cannot be moved later."""
    return {"device_map": {"": str(device)}}


def settle(model: Any, dtype: torch.dtype) -> None:
    """Compute in `dtype`, whatever dtype the checkpoint is stored in.

    Layers that are not quantised keep the dtype they are stored in, whatever dtype transformers is asked for; so they
    are cast here. In fp32, bitsandbytes' kernel for CPUs with AVX512-BF16 is switched off: it always computes in bf16
    and rounds the scales to bf16. Without it the weights are unpacked exactly as stored.
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
    """Batches of one request for LLM.int8, unless the user set a batch size.

    Input columns in which any activation exceeds a threshold are computed in 16 bits for all rows of a batch. So an
    answer would depend on what else is in its batch.
    """
    if not depends_on_batch(checkpoint) or settings.batch_tokens is not None:
        return settings
    return replace(settings, packing=False, max_batch=1)


def depends_on_batch(checkpoint: Checkpoint) -> bool:
    """Whether an answer depends on what else is in its batch: LLM.int8 with a threshold for outliers."""
    config = checkpoint.config["quantization_config"]
    return bool(config.get("load_in_8bit")) and (config.get(OUTLIERS) or 0) > 0


def kernel(model: Any) -> str | None:
    """Names of the classes of the quantised layers, most frequent first; None if there are none. ``.dequantize`` after
    a 4-bit layer says that its weights are unpacked before the product."""
    bnb = import_bitsandbytes()

    kinds = Counter(
        _name(module) for module in model.modules() if isinstance(module, bnb.nn.Linear4bit | bnb.nn.Linear8bitLt)
    )
    return "+".join(name for name, _ in kinds.most_common()) or None


def _name(module: Any) -> str:
    name = f"bitsandbytes.{type(module).__name__}"
    portable = module.weight.device.type == "cpu" and getattr(module, "support_avx512bf16_for_cpu", None) is False
    return f"{name}.dequantize" if portable else name


def quantized_weights(model: Any) -> dict[str, int]:
    """Names of the weights of quantised layers, to their numbers of elements."""
    bnb = import_bitsandbytes()
    kinds = bnb.nn.Linear4bit | bnb.nn.Linear8bitLt
    layers = [(name, layer) for name, layer in model.named_modules() if isinstance(layer, kinds)]
    return {f"{name}.weight": layer.in_features * layer.out_features for name, layer in layers}


def facts(checkpoint: Checkpoint) -> dict[str, object]:
    """Bits, number format, and whether an answer depends on what else is in its batch."""
    config = checkpoint.config["quantization_config"]
    if config.get("load_in_4bit"):
        return {"bits": 4, **{key.removeprefix("bnb_4bit_"): config.get(key) for key in FACTS_4BIT}}
    return {"bits": 8, OUTLIERS: config.get(OUTLIERS), "depends_on_batch": depends_on_batch(checkpoint)}
