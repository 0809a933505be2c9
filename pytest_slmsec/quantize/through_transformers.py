"""Quantisations that transformers makes while it loads a model: rounded to nearest, nothing is calibrated."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_slmsec.engines.causal_lm.transformers_ import load_config, loader_of
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_checkpoint, support_files
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.engines.encoders.weights import LOADERS
from pytest_slmsec.quantize.attempt import attempt
from pytest_slmsec.quantize.manifest import Recipe

HEADS = (
    "cls", "predictions", "lm_head", "vocab_transform", "vocab_projector", "generator_predictions", "generator_lm_head",
    "discriminator_predictions",
)  # fmt: skip
"""Output heads of encoders. MobileBERT concatenates a head weight with the embeddings, which fails when quantised."""
STORED_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


def save_quantised(base: Path, out: Path, recipe: Recipe, wanted: Any, **options: Any) -> None:
    """Load `base` quantised and save it in `out`, with the base's other files.

    It is saved before its first forward pass: bitsandbytes rearranges the weights there, and a model saved afterwards
    is not the one that was quantised.

    Args:
        wanted: the configuration of the quantisation, as transformers takes it. options: for `from_pretrained`.

    Raises:
        QuantizeError: the package or transformers could not do it.
    """
    checkpoint = read_checkpoint(base)
    config, kind = load_config(checkpoint), find_kind(checkpoint)
    with attempt(base, recipe):
        model: Any = getattr(transformers, LOADERS[kind] if kind else loader_of(base, config)).from_pretrained(
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
    """The dtype of all weights that are not quantised: the base's own, or fp32 where it has several."""
    kinds = {dtype for dtype in checkpoint.tensors.values() if dtype.startswith(("F", "BF"))}
    return STORED_DTYPES.get(kinds.pop(), torch.float32) if len(kinds) == 1 else torch.float32


def copy_support(base: Path, out: Path) -> None:
    """Copy configuration, tokenizer and pooling files byte for byte, where `out` does not have them yet."""
    for path in support_files(base):
        place = out / path.relative_to(base)
        if not place.exists() and not path.name.endswith(".index.json"):
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
