"""All engines by name. A back end is added with a module that has `load`, and one line here."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.models import VLLM_PREFIX, ModelSpec
from pytest_slmsec.engines.common.base import Capability, Engine
from pytest_slmsec.engines.common.settings import EngineSettings

ENGINES: Mapping[str, str] = {
    "transformers": "pytest_slmsec.engines.causal_lm.transformers_",
    "gptq": "pytest_slmsec.engines.causal_lm.gptq",
    "encoders": "pytest_slmsec.engines.encoders.weights",
    "llamacpp": "pytest_slmsec.engines.llamacpp.engine",
    "onnx": "pytest_slmsec.engines.onnx_.engine",
    "vllm": "pytest_slmsec.engines.vllm_.engine",
    "replay": "pytest_slmsec.replay.engine",
    "openai": "pytest_slmsec.engines.server.openai_",
    "ollama": "pytest_slmsec.engines.server.ollama",
}
"""Names to modules, imported on first use. Each has ``load(directory, spec, settings) -> Engine``."""


CAPABILITIES: Mapping[str, Capability] = {"encoders": Capability.OPTIONS}
"""Capabilities that are known before a model is loaded: benchmarks that need more are skipped at collection."""


TAKING_ADAPTERS = ("transformers", "gptq")
"""The engines that load LoRA adapters."""


def without_adapter(spec: ModelSpec) -> ModelSpec:
    """The same model without its adapter. Quantised models are made and cached without it."""
    if spec.adapter is None:
        return spec
    return replace(spec, name=spec.name.removesuffix(f"+{spec.adapter.name}"), adapter=None)


def engine_for(spec: ModelSpec, directory: Path) -> str:
    """The name of the engine for a model directory: the one that is named before the model (``vllm:``), else by format
    (GGUF, ONNX), by quantisation method (GPTQ), by architecture (encoders), else the one that the model's entry names.
    """
    from pytest_slmsec.engines.common.checkpoint import find_gguf, is_onnx, read_checkpoint
    from pytest_slmsec.engines.encoders.kinds import find_kind

    if spec.name.startswith(VLLM_PREFIX):
        return spec.engine
    if find_gguf(directory) is not None:
        return "llamacpp"
    if is_onnx(directory):
        return "onnx"
    checkpoint = read_checkpoint(directory)
    if checkpoint.quant_method in ENGINES:
        return str(checkpoint.quant_method)
    return "encoders" if find_kind(checkpoint) is not None else spec.engine


def load_directory(directory: Path, engine: str, spec: ModelSpec, settings: EngineSettings) -> Engine:
    """Load a model directory with a named engine.

    Raises:
        UsageError: there is no such engine, or it takes no adapter and the model has one.
    """
    if engine not in ENGINES:
        raise UsageError(f"{spec.name}: no such engine {engine!r}; known: {', '.join(ENGINES)}.")
    if spec.adapter is not None and engine not in TAKING_ADAPTERS:
        raise UsageError(
            f"{spec.name}: the engine {engine!r} loads no adapters: merge it into its base, save the result, and name "
            "that directory."
        )
    made: Engine = importlib.import_module(ENGINES[engine]).load(directory, spec, settings)
    return made
