"""Checkpoints with linear layers quantised by torchao: requirements, options and facts; see `engines.common.stored`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.extras import require
from pytest_slmsec.engines.common.checkpoint import Checkpoint
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings


def import_torchao() -> Any:
    """The package torchao, imported without the messages it prints about kernels for other machines.

    Raises:
        MissingExtraError: it is not installed.
    """
    require("A model quantised by torchao", "torchao", "torchao")
    with quiet():
        import torchao.quantization
    return torchao.quantization


def check(checkpoint: Checkpoint, device: torch.device) -> None:
    """Refuse 8-bit activations on a CPU where the sums of 8-bit products overflow silently.

    Raises:
        ModelError: the checkpoint quantises activations to 8 bits, and this CPU lacks VNNI instructions.
        MissingExtraError: torchao is not installed.
    """
    import_torchao()
    from torchao.utils import should_reduce_range

    if quant_type(checkpoint).get("_type", "").startswith("Int8DynamicActivation") and should_reduce_range(device):
        raise ModelError(
            f"{checkpoint.directory} multiplies 8-bit activations by 8-bit weights, and this CPU has no VNNI "
            "instructions, without which the sums overflow: use int8wo, or another machine."
        )


def load_options(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
    """No further arguments."""
    return {}


def settle(model: Any, dtype: torch.dtype) -> None:
    """Nothing to do: the layers compute in the dtype of their input."""


def settings(checkpoint: Checkpoint, settings: EngineSettings) -> EngineSettings:
    """The user's settings, unchanged."""
    return settings


def quant_type(checkpoint: Checkpoint) -> dict[str, Any]:
    """torchao's own description of the quantisation, or {}."""
    inside = checkpoint.config.get("quantization_config") or {}
    return dict((inside.get("quant_type") or {}).get("default") or {})


def kernel(model: Any) -> str | None:
    """Names of the classes of the quantised weights, most frequent first; None if torchao quantised none."""
    kinds = Counter(type(parameter.data).__name__ for parameter in model.parameters() if _is_ours(parameter.data))
    return "+".join(f"torchao.{name}" for name, _ in kinds.most_common()) or None


def _is_ours(tensor: torch.Tensor) -> bool:
    return type(tensor).__module__.startswith("torchao.")


def quantized_weights(model: Any) -> dict[str, int]:
    """Names of the weights that are torchao's, to their numbers of elements."""
    return {name: weight.numel() for name, weight in model.named_parameters() if _is_ours(weight.data)}


def facts(checkpoint: Checkpoint) -> dict[str, object]:
    """torchao's own description of the quantisation."""
    return {"quant_type": quant_type(checkpoint)}
