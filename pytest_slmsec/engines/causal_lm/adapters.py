"""LoRA adapters on a loaded model, computed beside its layers (live) or merged into its weights, through peft.

LoRA: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021 (arXiv:2106.09685).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import Any

import torch

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.extras import require
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.causal_lm.adapter_files import CONFIG, TOKENIZER, AdapterFiles, check_base, read_adapter
from pytest_slmsec.engines.causal_lm.added_tokens import add_tokens, resize, stored_rows
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.checkpoint import Checkpoint
from pytest_slmsec.engines.common.loading import (
    first_line,
    load_tokenizer,
    locate_adapter,
    template_sha256,
    tokenizer_sha256,
)
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.common.settings import EngineSettings

NAMED = 3


def import_peft() -> Any:
    """The package peft.

    Raises:
        MissingExtraError: it is not installed.
    """
    require("A LoRA adapter", "lora", "peft")
    with quiet():
        import peft
    return peft


def with_adapter(
    model: Any, tokenizer: Any, info: EngineInfo, spec: ModelSpec, settings: EngineSettings, checkpoint: Checkpoint
) -> tuple[Any, EngineInfo]:
    """Add the adapter that the model's name asks for. Returns the model and its updated facts, or both unchanged.

    A chat template that the adapter brings replaces the tokenizer's: the adapter was trained with it.

    Args:
        model: in eval mode on its device; it is changed. checkpoint: what it was loaded from.

    Raises:
        ModelError: the adapter is damaged, or made for another base. MissingExtraError: peft is not installed.
    """
    if spec.adapter is None:
        return model, info
    peft = import_peft()
    files = read_adapter(locate_adapter(spec, settings))
    named_same = check_base(files, spec, settings, checkpoint)
    began = time.perf_counter()
    config = _config(peft, files)
    tokens, rows = _add_tokens(model, tokenizer, files)
    adapted = _load(peft, model, config, files)
    kernel = info.kernel
    if settings.merge_adapter:
        model = _merged(adapted, files, checkpoint)
    else:
        model = adapted.get_base_model()
        kernel = f"{kernel}+{lora_layers(model)}"
    load_s = None if info.load_s is None else info.load_s + time.perf_counter() - began
    own_template = _take_template(tokenizer, files)
    extra_rows = {"added_tokens": tokens, "added_rows": rows} if tokens or rows else {}
    mode, digest = "merged" if settings.merge_adapter else "live", files.sha256(settings.cache_dir)
    facts = {
        "name": spec.adapter.name, "mode": mode, "sha256": digest, "base_sha256": info.weights_sha256,
        "made_for": files.config.get("base_model_name_or_path"), "rank": config.r, "alpha": config.lora_alpha,
        "own_template": own_template, "peft": peft.__version__, **extra_rows,
        **({"base_said_to_be_the_same": True} if named_same else {}),
    }  # fmt: skip
    return model.eval(), replace(
        info,
        kernel=kernel,
        load_s=load_s,
        model_bytes=(info.model_bytes or 0) + files.weights.stat().st_size,
        weights_sha256=sha256_json([info.weights_sha256, digest, mode]),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        template_sha256=template_sha256(tokenizer),
        extra={**info.extra, "adapter": facts},
    )


def merge_adapter(model: Any, files: AdapterFiles, checkpoint: Checkpoint) -> Any:
    """A plain model with an adapter added to its weights.

    Args:
        model: the unquantised base; it is changed. checkpoint: what it was loaded from.

    Raises:
        ModelError: the adapter does not fit, or cannot be merged. MissingExtraError: peft is not installed.
    """
    peft = import_peft()
    return _merged(_load(peft, model, _config(peft, files), files), files, checkpoint)


def _config(peft: Any, files: AdapterFiles) -> Any:
    """The adapter's configuration as peft reads it.

    Raises:
        ModelError: peft cannot read it, or would ignore a key that is set.
    """
    known = set(peft.LoraConfig.__dataclass_fields__) | {"auto_mapping", "peft_version"}
    if unknown := sorted(key for key, value in files.config.items() if value and key not in known):
        raise ModelError(
            f"{files.directory}: peft {peft.__version__} does not know {unknown[0]!r} of {CONFIG}: use a newer peft."
        )
    try:
        with quiet():
            return peft.PeftConfig.from_pretrained(str(files.directory))
    except Exception as error:
        raise ModelError(f"{files.directory}: {CONFIG} cannot be used ({first_line(error)}).") from error


def _load(peft: Any, model: Any, config: Any, files: AdapterFiles) -> Any:
    """peft's wrapper of the model with every tensor of the adapter loaded.

    Raises:
        ModelError: the adapter's tensors do not fit the model.
    """
    device = str(next(model.parameters()).device)
    try:
        with quiet():
            adapted = peft.PeftModel.from_pretrained(
                model, str(files.directory), config=config, torch_device=device, ignore_mismatched_sizes=True
            )
            wanted = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False)
            allowed = peft.get_peft_model_state_dict(adapted, save_embedding_layers=True)
    except Exception as error:
        raise ModelError(_misfit(files, first_line(error))) from error
    shapes = {name: tuple(tensor.shape) for name, tensor in allowed.items()}
    kinds = {
        "missing": [name for name in wanted if name not in files.shapes],
        "unexpected": [name for name in files.shapes if name not in shapes],
        "of another shape": [name for name, shape in files.shapes.items() if shapes.get(name, shape) != shape],
    }
    parts = [f"{len(names)} {kind} ({_some(sorted(names))})" for kind, names in kinds.items() if names]
    if parts:
        raise ModelError(_misfit(files, "; ".join(parts)))
    if bad := sorted(name for name, tensor in wanted.items() if not bool(torch.isfinite(tensor).all())):
        raise ModelError(f"{files.weights} holds numbers that are not finite ({_some(bad)}): make the adapter again.")
    return adapted


def _misfit(files: AdapterFiles, why: str) -> str:
    named = files.config.get("base_model_name_or_path") or "an unknown base"
    return (
        f"{files.directory}: the adapter does not fit this model: {why}. It was made for {named}: name that base, or "
        "fetch the adapter again."
    )


def _some(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _merged(adapted: Any, files: AdapterFiles, checkpoint: Checkpoint) -> Any:
    """The model with the adapter's products added to its weights.

    Raises:
        ModelError: the weights cannot be added to, or come out not finite.
    """
    model = adapted.get_base_model()
    if tied := _tied(model):
        raise ModelError(
            f"{files.directory} changes {tied}, whose weights another layer of the model uses as well: merged, it "
            "would change both. Load it live (--slmsec-adapter=live)."
        )
    quantised = f" of a model quantised with {checkpoint.quant_method}" if checkpoint.quant_method else ""
    try:
        with quiet():
            model = adapted.merge_and_unload(safe_merge=True)
    except Exception as error:
        raise ModelError(
            f"{files.directory} cannot be merged into the weights{quantised} ({first_line(error)}): load it live "
            "(--slmsec-adapter=live)."
        ) from error
    return model


def _tied(model: Any) -> str | None:
    """Name of a layer that has an adapter and shares its weights with a layer that has none, or None."""
    users: dict[int, set[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        users.setdefault(id(parameter), set()).add(name.rpartition(".")[0].removesuffix(".base_layer"))
    shared = {name for names in users.values() if len(names) > 1 for name in names}
    return next((name for name, module in model.named_modules() if name in shared and hasattr(module, "lora_A")), None)


def lora_layers(model: Any) -> str:
    """The classes of the adapter's layers, most frequent first."""
    counts = Counter(type(module).__name__ for module in model.modules() if hasattr(module, "lora_A"))
    return "+".join(f"peft.lora.{name}" for name, _ in counts.most_common())


def _add_tokens(model: Any, tokenizer: Any, files: AdapterFiles) -> tuple[list[str], int]:
    """Give model and tokenizer the tokens that the adapter was trained with.

    Returns:
        The tokens added to the tokenizer, and the number of rows added to the embedding.

    Raises:
        ModelError: they do not fit the base.
    """
    stored = stored_rows(model, files.shapes)
    added_rows = 0 if stored is None else resize(model, files.directory, stored)
    if not (files.directory / TOKENIZER).is_file():
        return [], added_rows
    rows = model.get_input_embeddings().num_embeddings
    try:
        return add_tokens(tokenizer, load_tokenizer(files.directory), rows), added_rows
    except ModelError as error:
        raise ModelError(f"{files.directory}: {error}") from error


def _take_template(tokenizer: Any, files: AdapterFiles) -> bool:
    """Give the tokenizer the chat template that the adapter brings. Returns whether that is another one.

    Raises:
        ModelError: the adapter's tokenizer cannot be read.
    """
    if not (files.directory / TOKENIZER).is_file():
        return False
    own = load_tokenizer(files.directory).chat_template
    if own is None or own == tokenizer.chat_template:
        return False
    tokenizer.chat_template = own
    return True
