"""Loads causal language models with transformers: unquantised ones, and those in a quantised format it can read."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.causal_lm.adapters import with_adapter
from pytest_slmsec.engines.causal_lm.causal import CausalEngine
from pytest_slmsec.engines.common import stored
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_checkpoint
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import (
    context_tokens,
    first_line,
    load_tokenizer,
    pick_device,
    pick_dtype,
    template_sha256,
    tokenizer_sha256,
)
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.prompting.without_embedding import check_vocabulary

NAMED_KEYS = 3
LOADERS = {
    "AutoModelForCausalLM": "MODEL_FOR_CAUSAL_LM_MAPPING",
    "AutoModelForImageTextToText": "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING",
    "AutoModelForMultimodalLM": "MODEL_FOR_MULTIMODAL_LM_MAPPING",
}
"""Classes that load models which continue a text, and the names of the mappings with their architectures."""


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> CausalEngine:
    """Load a model directory.

    Raises:
        ModelError: one sentence on what is wrong with it; see `read_checkpoint` for its files. Weights that are
            missing, left over or of another shape are an error.
    """
    checkpoint = read_checkpoint(directory)
    method = stored.method_of(checkpoint)
    device = pick_device(settings.device)
    if method is not None:
        method.check(checkpoint, device)
        settings = method.settings(checkpoint, settings)
    dtype = pick_dtype(spec, settings, device, checkpoint)
    config = load_config(checkpoint)
    tokenizer = load_tokenizer(directory)
    import_architecture(config)
    began = time.perf_counter()
    model = load_weights(LoadRequest(checkpoint, config, dtype, device, method))
    load_s = time.perf_counter() - began
    check_vocabulary(directory, tokenizer, model.get_input_embeddings().num_embeddings)
    engine = f"transformers {transformers.__version__}"
    kernel, facts = stored.kernel_of(method, model), stored.facts_of(method, checkpoint, model)
    info = describe(spec, settings, checkpoint, model, tokenizer, engine, kernel, load_s, **facts)
    model, info = with_adapter(model, tokenizer, info, spec, settings, checkpoint)
    return CausalEngine(model, tokenizer, info, settings)


def load_config(checkpoint: Checkpoint) -> Any:
    """The configuration as transformers reads it.

    Raises:
        ModelError: the architecture is unknown, or needs code of its own.
    """
    from transformers import AutoConfig

    kind = checkpoint.config.get("model_type")
    if kind not in transformers.CONFIG_MAPPING:
        own = " and brings code of its own, which is never run" if "auto_map" in checkpoint.config else ""
        raise ModelError(
            f"{checkpoint.directory}: its architecture {kind!r} is not known to transformers {transformers.__version__}"
            f"{own}: use a newer transformers, or another model."
        )
    try:
        with quiet():
            return AutoConfig.from_pretrained(checkpoint.directory, trust_remote_code=False, local_files_only=True)
    except Exception as error:
        raise ModelError(
            f"{checkpoint.directory}: config.json cannot be used ({first_line(error)}): fetch or write it again."
        ) from error


def import_architecture(config: Any) -> None:
    """Import the model's class. The first import takes seconds, which must not count as time to load weights."""
    with quiet():
        for name in config.architectures or ():
            getattr(transformers, name, None)


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """A checkpoint, and how its weights are to be loaded.

    Attributes:
        config: as transformers reads it (`load_config`). dtype: to compute in.
        method: the module for the quantised format of the checkpoint; None: it is not quantised.
    """

    checkpoint: Checkpoint
    config: Any
    dtype: torch.dtype
    device: torch.device
    method: stored.Method | None = None


def load_weights(wanted: LoadRequest) -> Any:
    """The model in eval mode on its device, with every weight read from the checkpoint.

    Raises:
        ModelError: it is no causal language model, or weights and architecture do not fit.
    """
    directory = wanted.checkpoint.directory

    def check(loaded: Mapping[str, Any]) -> None:
        check_keys(directory, loaded["missing_keys"], loaded["unexpected_keys"], loaded["mismatched_keys"])

    return load_with(wanted, loader_of(directory, wanted.config), "causal language model", check)


def loader_of(directory: Path, config: Any) -> str:
    """Name of the class of transformers that loads an architecture. Multimodal models are loaded to be asked with text.

    For some architectures there is a class for the text part alone beside that of the whole model. It is taken where
    it passes over the other weights of a whole model (Qwen 3.5). Where it refuses them (Llama 4), the class whose model
    the checkpoint names (`architectures` in config.json) is taken.

    Raises:
        ModelError: it has an encoder and a decoder, or transformers has no causal language model of this architecture.
    """
    why = "is no causal language model"
    if getattr(config, "is_encoder_decoder", False):
        why = "has an encoder and a decoder, which are not evaluated here"
    else:
        made_by = {name: _made_by(name, config) for name in LOADERS}
        found = {name: made for name, made in made_by.items() if made is not None}
        named = [name for name, made in found.items() if made.__name__ in (config.architectures or ())]
        if found:
            first = next(iter(found))
            whole = [name for name in named if not _passed_over(found[name]) < _passed_over(found[first])]
            return [*whole, first][0]
    raise ModelError(
        f"{directory}: its architecture {config.model_type!r} {why}: name a causal language model, or an encoder with "
        "the head that it was trained with."
    )


def _made_by(loader: str, config: Any) -> Any:
    """The class of the models that a loader makes for an architecture (the first of several), or None."""
    found = getattr(transformers, LOADERS[loader]).get(type(config), None)
    return found[0] if isinstance(found, tuple) else found


def _passed_over(made: Any) -> set[str]:
    """Patterns of the weights in a checkpoint that a class passes over."""
    return set(getattr(made, "_keys_to_ignore_on_load_unexpected", None) or ())


def load_with(wanted: LoadRequest, loader: str, sort: str, check: Callable[[Mapping[str, Any]], None]) -> Any:
    """The model in eval mode on its device, loaded with one class of transformers.

    Args:
        loader: name of the class. sort: what kind of model it must be, for messages.
        check: is called with transformers' loading info (missing, unexpected and mismatched keys), and raises if the
            weights are not complete (`check_keys`).

    Raises:
        ModelError: transformers cannot load it, or `check` raises it.
    """
    checkpoint, method = wanted.checkpoint, wanted.method
    options = method.load_options(checkpoint, wanted.device) if method else {}
    try:
        with quiet():
            made: Any = getattr(transformers, loader).from_pretrained(
                checkpoint.directory,
                config=wanted.config,
                dtype=wanted.dtype,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,
                **options,
            )
    except Exception as error:
        raise ModelError(
            f"{checkpoint.directory} cannot be loaded as a {sort} ({first_line(error)}): fetch or make it again, or "
            "name another model."
        ) from error
    model, loaded = made
    check(loaded)
    if "device_map" not in options:
        model = model.to(wanted.device)
    if method is not None:
        method.settle(model, wanted.dtype)
    return model.eval()


def check_keys(directory: Path, missing: Iterable[Any], unexpected: Iterable[Any], mismatched: Iterable[Any]) -> None:
    """Refuse weights that are not exactly those of the architecture: missing ones would stay random numbers.

    Raises:
        ModelError: names the first few keys of each kind.
    """
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": mismatched}
    found = {kind: sorted(_name(key) for key in keys) for kind, keys in kinds.items()}
    parts = [f"{len(names)} {kind} ({_some(names)})" for kind, names in found.items() if names]
    if parts:
        raise ModelError(
            f"{directory}: the weights are not those of its architecture: {'; '.join(parts)}. Loaded like this "
            "it would answer with random numbers: fetch or make the checkpoint again."
        )


def _name(key: Any) -> str:
    return str(key[0]) if isinstance(key, tuple) else str(key)


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED_KEYS]) + (", ..." if len(names) > NAMED_KEYS else "")


def describe(
    spec: ModelSpec,
    settings: EngineSettings,
    checkpoint: Checkpoint,
    model: Any,
    tokenizer: Any,
    engine: str,
    kernel: str,
    load_s: float,
    **extra: object,
) -> EngineInfo:
    """Facts about a loaded model, for the record."""
    parameter = next(model.parameters())
    return EngineInfo(
        engine=engine,
        kernel=kernel,
        device=str(parameter.device),
        dtype=str(parameter.dtype).removeprefix("torch."),
        load_s=load_s,
        model_bytes=checkpoint.weight_bytes,
        context_tokens=context_tokens(spec, model.config),
        weights_sha256=weights_sha256(checkpoint.weights, settings.cache_dir),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        template_sha256=template_sha256(tokenizer),
        extra={
            "architecture": type(model).__name__,
            "attention": getattr(model.config, "_attn_implementation", None),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            **extra,
        },
    )
