"""Quantisations that transformers makes while it loads a model: rounded to nearest, nothing is calibrated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_slmsec.engines.causal_lm.transformers_ import load_config
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_checkpoint, support_files
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.engines.encoders.weights import LOADERS
from pytest_slmsec.quantize.attempt import attempt
from pytest_slmsec.quantize.manifest import Recipe

HEADS = (
    "cls", "predictions", "lm_head", "vocab_transform", "vocab_projector", "generator_predictions", "generator_lm_head",
    "discriminator_predictions",
)  # fmt: skip
"""Of encoders. MobileBERT joins a weight of its head to the embeddings, which quantised weights do not allow."""
STORED_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


def save_quantised(base: Path, out: Path, recipe: Recipe, wanted: Any, **options: Any) -> None:
    """Load `base` quantised and save it in `out`, with the tokenizer and what else lies there.

    It is saved before anything is computed with it: bitsandbytes rearranges its weights in the first forward, and what
    is saved after that is not what was quantised.

    Args:
        wanted: the configuration of the quantisation, as transformers takes it. options: for `from_pretrained`.

    Raises:
        QuantizeError: the package or transformers could not do it.
    """
    checkpoint = read_checkpoint(base)
    config, kind = load_config(checkpoint), find_kind(checkpoint)
    with attempt(base, recipe):
        model: Any = getattr(transformers, LOADERS[kind] if kind else "AutoModelForCausalLM").from_pretrained(
            base,
            config=config,
            dtype=stored_dtype(checkpoint),
            quantization_config=wanted,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            **options,
        )
        model.save_pretrained(out)
    copy_support(base, out)


def stored_dtype(checkpoint: Checkpoint) -> torch.dtype:
    """What stays unquantised keeps the base's own dtype; scales are fp32 in any case."""
    kinds = {dtype for dtype in checkpoint.tensors.values() if dtype.startswith(("F", "BF"))}
    return STORED_DTYPES.get(kinds.pop(), torch.float32) if len(kinds) == 1 else torch.float32


def copy_support(base: Path, out: Path) -> None:
    """The tokenizer and the pooling, byte for byte."""
    for path in support_files(base):
        place = out / path.relative_to(base)
        if not place.exists() and not path.name.endswith(".index.json"):
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
