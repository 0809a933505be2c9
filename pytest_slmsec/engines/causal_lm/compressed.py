"""Checkpoints in the format of compressed-tensors: 4-bit weights, 8-bit weights and activations, FP8 and the like.

transformers loads them itself; see `engines.stored`. The weights are unpacked once, at load, and computed with in the
dtype of the run; activations are rounded at each layer as the checkpoint says. So the answers are those of the
quantised model, and neither its memory nor its speed, which take kernels that are made for serving (vLLM). The record
says so by the name of its kernel.
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
    """Ask for the package.

    Raises:
        MissingExtraError: compressed-tensors is not installed.
    """
    require("A model stored by compressed-tensors", "compressed-tensors", "compressed_tensors")


def load_options(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    """None are needed."""
    return {}


def settle(model: Any, dtype: torch.dtype) -> None:
    """Unpack all weights now: the library would do it in the first call of the whole model, which need not come."""
    with quiet():
        model.hf_quantizer.compressor.decompress_model(model)


def settings(checkpoint: Checkpoint, settings: EngineSettings) -> EngineSettings:
    """The user's."""
    return settings


def kernel(model: Any) -> str | None:
    """The formats of the quantised layers, most frequent first, and that their weights were unpacked."""
    schemes = (getattr(module, "quantization_scheme", None) for module in model.modules())
    formats = Counter(str(getattr(scheme.format, "value", scheme.format)) for scheme in schemes if scheme is not None)
    return "+".join(f"compressed_tensors.{name}.unpacked" for name, _ in formats.most_common()) or None


def facts(checkpoint: Checkpoint) -> dict[str, object]:
    """Format, and how weights and activations of each group of layers are quantised."""
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
