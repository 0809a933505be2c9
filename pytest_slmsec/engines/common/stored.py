"""Quantised checkpoints that transformers loads itself: what each format needs, and which kernels run it.

GPTQ is not among them: it has an engine of its own. A format is added with a module that has the functions of `Method`,
and one line in `METHODS`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.checkpoint import MANIFEST, Checkpoint, read_json
from pytest_slmsec.engines.common.quantized_share import FACT, count_model, require_quantized
from pytest_slmsec.engines.common.settings import EngineSettings

METHODS: Mapping[str, str] = {
    "torchao": "pytest_slmsec.engines.causal_lm.torchao_",
    "bitsandbytes": "pytest_slmsec.engines.causal_lm.bitsandbytes_",
    "compressed-tensors": "pytest_slmsec.engines.causal_lm.compressed",
}
"""`quant_method` in config.json to the module that implements `Method` for it."""
PLAIN_KERNEL = "torch.nn.Linear"


class Method(Protocol):
    """The functions that a module has for one format of quantised checkpoints."""

    @staticmethod
    def check(checkpoint: Checkpoint, device: torch.device) -> None:
        """Refuse what cannot run here.

        Raises:
            ModelError: it lacks something, or would compute wrongly on `device`.
            MissingExtraError: a package is missing.
        """

    @staticmethod
    def load_options(checkpoint: Checkpoint, device: torch.device) -> dict[str, Any]:
        """Further arguments of `from_pretrained`."""

    @staticmethod
    def settle(model: Any, dtype: torch.dtype) -> None:
        """Make the loaded layers compute in `dtype`."""

    @staticmethod
    def kernel(model: Any) -> str | None:
        """The kernels of the quantised layers, most frequent first; None where no layer is quantised."""

    @staticmethod
    def quantized_weights(model: Any) -> dict[str, int]:
        """Names of the quantised weights, to the numbers of elements that they unpack to."""

    @staticmethod
    def facts(checkpoint: Checkpoint) -> dict[str, object]:
        """The quantisation as it is stored."""

    @staticmethod
    def settings(checkpoint: Checkpoint, settings: EngineSettings) -> EngineSettings:
        """The user's settings, or stricter ones that this quantisation needs."""


def method_of(checkpoint: Checkpoint) -> Method | None:
    """The module for the format of a quantised checkpoint; None where it is not quantised.

    Raises:
        ModelError: its format is not supported here.
    """
    name = checkpoint.quant_method
    if name is None:
        return None
    if name not in METHODS:
        raise ModelError(
            f"{checkpoint.directory} is quantised with {name}, which is not loaded here (known: gptq, "
            f"{', '.join(METHODS)}): name the unquantised model, or a checkpoint of one of these."
        )
    return cast("Method", importlib.import_module(METHODS[name]))


def kernel_of(method: Method | None, model: Any) -> str:
    """The kernels of the linear layers."""
    found = None if method is None else method.kernel(model)
    return found or PLAIN_KERNEL


def facts_of(method: Method | None, checkpoint: Checkpoint, model: Any) -> dict[str, object]:
    """For the record: the quantisation, the share of the weights that is quantised, and how it was verified where this
    project made it; {} where there is none.

    Raises:
        NothingQuantizedError: no weight of the model is quantised.
    """
    if method is None:
        return {}
    share = count_model(model, method.quantized_weights(model))
    require_quantized(checkpoint.directory, str(checkpoint.quant_method), share)
    manifest = checkpoint.directory / MANIFEST
    found = {"method": checkpoint.quant_method, **method.facts(checkpoint)}
    if manifest.is_file():
        found["manifest"] = read_json(manifest)
    return {"quantization": found, FACT: share.plain()}
