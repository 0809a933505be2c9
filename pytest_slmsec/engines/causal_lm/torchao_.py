"""Checkpoints whose linear layers torchao quantised: what they need to load, and what runs them.

transformers loads them itself, through the engine that would load their unquantised base; see `engines.stored`.
"""

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
    """The package torchao, imported without its notes on kernels for other machines.

    Raises:
        MissingExtraError: it is not installed.
    """
    require("A model quantised by torchao", "torchao", "torchao")
    with quiet():
        import torchao.quantization
    return torchao.quantization


def check(checkpoint: Checkpoint, device: torch.device) -> None:
    """Refuse integer activations on a CPU whose integer products overflow silently.

    Raises:
        ModelError: the checkpoint wants them, in the full range of 8 bits, and this CPU lacks VNNI instructions.
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
    """None are needed."""
    return {}


def settle(model: Any, dtype: torch.dtype) -> None:
    """The layers compute in the dtype of what they are given."""


def settings(checkpoint: Checkpoint, settings: EngineSettings) -> EngineSettings:
    """The user's."""
    return settings


def quant_type(checkpoint: Checkpoint) -> dict[str, Any]:
    """torchao's own description of the quantisation, or {}."""
    inside = checkpoint.config.get("quantization_config") or {}
    return dict((inside.get("quant_type") or {}).get("default") or {})


def kernel(model: Any) -> str | None:
    """The classes of the quantised weights, most frequent first; None where none is torchao's."""
    kinds = Counter(type(parameter.data).__name__ for parameter in model.parameters() if _is_ours(parameter.data))
    return "+".join(f"torchao.{name}" for name, _ in kinds.most_common()) or None


def _is_ours(tensor: torch.Tensor) -> bool:
    return type(tensor).__module__.startswith("torchao.")


def facts(checkpoint: Checkpoint) -> dict[str, object]:
    """torchao's own description of the quantisation."""
    return {"quant_type": quant_type(checkpoint)}
