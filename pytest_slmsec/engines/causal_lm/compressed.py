"""Checkpoints in the format of compressed-tensors: 4-bit weights, 8-bit weights and activations, FP8 and the like.

See `engines.common.stored`. The weights are unpacked once, at load, and the model computes with them in the dtype of
the run; activations are quantised at each layer as the checkpoint says. So the answers are those of the quantised
model, but memory and speed are not: these need kernels made for serving (vLLM). The kernel's name in the record ends
in ``.unpacked`` to say so.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from pytest_slmsec.core.extras import require
from pytest_slmsec.engines.common.checkpoint import Checkpoint
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings

ARGUMENT_FACTS = ("num_bits", "type", "strategy", "group_size", "symmetric", "dynamic")
PARTS = {"weights": "weights", "activations": "input_activations"}


def check(checkpoint: Checkpoint, device: torch.device) -> None:
    """Require the package.

    Raises:
        MissingExtraError: compressed-tensors is not installed.
    """
    require("A model stored by compressed-tensors", "compressed-tensors", "compressed_tensors")


def load_options(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    """No further arguments."""
    return {}


def settle(model: Any, dtype: torch.dtype) -> None:
    """Unpack all weights now. The library does it when the whole model is first called, but the packed path calls only
    the decoder."""
    with quiet():
        model.hf_quantizer.compressor.decompress_model(model)


def settings(checkpoint: Checkpoint, settings: EngineSettings) -> EngineSettings:
    """The user's settings, unchanged."""
    return settings


def kernel(model: Any) -> str | None:
    """Names of the formats of the quantised layers, most frequent first, with ``.unpacked``; None if there are none."""
    schemes = (getattr(module, "quantization_scheme", None) for module in model.modules())
    formats = Counter(str(getattr(scheme.format, "value", scheme.format)) for scheme in schemes if scheme is not None)
    return "+".join(f"compressed_tensors.{name}.unpacked" for name, _ in formats.most_common()) or None


def quantized_weights(model: Any) -> dict[str, int]:
    """Names of the unpacked weights of quantised layers, to their numbers of elements."""
    layers = [
        (name, layer)
        for name, layer in model.named_modules()
        if getattr(getattr(layer, "quantization_scheme", None), "weights", None) is not None
    ]
    return {f"{name}.weight": layer.weight.numel() for name, layer in layers}


def facts(checkpoint: Checkpoint) -> dict[str, object]:
    """Format of the checkpoint, and how weights and activations of each group of layers are quantised."""
    config = checkpoint.config["quantization_config"]
    groups = config.get("config_groups") or {}
    return {
        "format": config.get("format"),
        "groups": {
            name: {part: _arguments(group.get(key)) for part, key in PARTS.items()} for name, group in groups.items()
        },
    }


def _arguments(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if stored is None else {key: stored.get(key) for key in ARGUMENT_FACTS}
