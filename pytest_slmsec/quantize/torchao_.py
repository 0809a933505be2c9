"""8-bit integers through torchao: of the weights alone, or of weights and activations.

Rounded to nearest with one scale for each output channel, symmetric about 0; no calibration. Activations (``int8dyn``)
are rounded as they come, with one scale a token. Only linear layers are quantised; embeddings and the heads that
predict tokens stay as they are.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.checkpoint import Checkpoint, read_checkpoint, support_files
from pytest_slmsec.engines.encoders.kinds import find_kind
from pytest_slmsec.engines.encoders.weights import LOADERS
from pytest_slmsec.engines.loading import first_line
from pytest_slmsec.engines.quiet import quiet
from pytest_slmsec.engines.settings import EngineSettings
from pytest_slmsec.engines.torchao_ import import_torchao
from pytest_slmsec.engines.transformers_ import load_config
from pytest_slmsec.quantize.manifest import Recipe

CONFIGS: Mapping[str, str] = {
    "int8wo": "Int8WeightOnlyConfig",
    "int8dyn": "Int8DynamicActivationInt8WeightConfig",
}
"""torchao's name for each quantisation."""
HEADS = (
    "cls", "predictions", "lm_head", "vocab_transform", "vocab_projector", "generator_predictions", "generator_lm_head",
    "discriminator_predictions",
)  # fmt: skip
"""Of encoders. MobileBERT joins a weight of its head to the embeddings, which quantised weights do not allow."""
STORED_DTYPES = {"BF16": torch.bfloat16, "F16": torch.float16}


def quantize_weights(
    base: Path, out: Path, recipe: Recipe, rows: Sequence[Sequence[int]], settings: EngineSettings
) -> None:
    """Quantise the linear layers of `base` and save the result in `out`, with the tokenizer and what else lies there.

    Args:
        rows: not needed; nothing is calibrated.

    Raises:
        QuantizeError: torchao or transformers could not do it. MissingExtraError: torchao is not installed.
    """
    scheme = getattr(import_torchao(), CONFIGS[recipe.quant])
    checkpoint = read_checkpoint(base)
    config, kind = load_config(checkpoint), find_kind(checkpoint)
    settings.report(f"{recipe.quant}: rounding weights", 0.0)
    try:
        with quiet():
            wanted = transformers.TorchAoConfig(scheme(), modules_to_not_convert=list(HEADS) if kind else None)
            model: Any = getattr(transformers, LOADERS[kind] if kind else "AutoModelForCausalLM").from_pretrained(
                base,
                config=config,
                dtype=_dtype(checkpoint),
                quantization_config=wanted,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
            )
            model.save_pretrained(out)
    except Exception as error:
        raise QuantizeError(
            f"{base} could not be quantised to {recipe.quant} by {recipe.package}: "
            f"{type(error).__name__}: {first_line(error)}."
        ) from error
    _copy_support(base, out)


def _dtype(checkpoint: Checkpoint) -> torch.dtype:
    """What stays unquantised keeps the base's own dtype; scales are fp32 in any case."""
    kinds = {dtype for dtype in checkpoint.tensors.values() if dtype.startswith(("F", "BF"))}
    return STORED_DTYPES.get(kinds.pop(), torch.float32) if len(kinds) == 1 else torch.float32


def _copy_support(base: Path, out: Path) -> None:
    """The tokenizer and the pooling, byte for byte."""
    for path in support_files(base):
        place = out / path.relative_to(base)
        if not place.exists() and not path.name.endswith(".index.json"):
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, place)
