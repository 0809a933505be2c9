"""The names of models: ``base[-quant][+adapter]``, the same behind ``vllm:``, ``openai:NAME`` and ``ollama:NAME`` for
what a server runs, or ``replay:PATH[::NAME]`` for recorded answers.

`base` is a name of the registry (`models.toml`, or ``[tool.slmsec.models.NAME]``), a local directory, or
``hf:org/name[@revision]``, or a GGUF file: a local one, ``hf:org/name[@revision]::FILE.gguf``, or
``package:NAME/FILE.gguf``, a file of an installed Python package. `quant` is a
quantisation or a dtype. `adapter` is a local directory,
``hf:org/name[@revision]``, or a name of the registry whose entry has an adapter: that one.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UnknownModelError, UsageError
from pytest_slmsec.core.model_registry import Registry
from pytest_slmsec.core.models import (
    DTYPES,
    FIXTURE_PREFIX,
    GGUF,
    HUB_ID,
    HUB_PREFIX,
    MEMBER,
    PACKAGE_PREFIX,
    REPLAY_PREFIX,
    SERVERS,
    VLLM_PREFIX,
    Adapter,
    ModelSpec,
    is_place,
)
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.core.recorded_names import recorded_model, recorded_place
from pytest_slmsec.core.unknown_models import unknown_model


def split_names(values: Iterable[str]) -> list[str]:
    """Model names from repeated and comma-separated option values, in order, each once."""
    names: dict[str, None] = {}
    for value in values:
        whole = is_place(Path(value)) or (value.startswith(REPLAY_PREFIX) and recorded_place(value)[0].exists())
        for name in [value] if whole else value.split(","):
            if name.strip():
                names[name.strip()] = None
    return list(names)


def parse_model(name: str, registry: Registry, quants: Collection[str], option: str = "--model") -> ModelSpec:
    """Resolve one name.

    Args:
        name: as written by the user.
        registry: names to entries (keys of `ModelSpec`).
        quants: names of known quantisations; dtypes are known here.
        option: where it was written, for messages.

    Raises:
        UnknownModelError: with near matches, or with the known quantisations.
    """
    if name.startswith(REPLAY_PREFIX):
        return recorded_model(name, option)
    if name.startswith(VLLM_PREFIX):
        return _run_by_vllm(name, registry, quants, option)
    if _server(name):
        return _place(ModelSpec(name, name, location=name))
    known = (*DTYPES, *quants)
    stem, adapter = _parted(name)
    spec = _resolve_stem(stem, registry, known)
    if spec is None:
        raise UnknownModelError(unknown_model(name, stem, registry, known, option))
    if spec.source == "server" and stem != spec.base:
        raise UsageError(f"{option}={name}: what the server of {spec.base} runs is chosen there, and not by {stem}.")
    if adapter is not None:
        if spec.source == "server":
            raise UsageError(f"{option}={name}: an adapter is loaded by the server of {spec.base}, and not here.")
        if spec.adapter is not None:
            raise UsageError(f"{option}={name}: {spec.base} has an adapter already, and one is loaded at a time.")
        spec = replace(spec, adapter=_resolve_adapter(adapter, registry, f"{option}={name}"))
    return replace(spec, name=name)


def _run_by_vllm(name: str, registry: Registry, quants: Collection[str], option: str) -> ModelSpec:
    """The model behind ``vllm:``. It is a base of its own: judged against another engine's, it would be the engines
    that are compared."""
    inner = parse_model(name.removeprefix(VLLM_PREFIX), registry, quants, option)
    if inner.source not in ("path", "hub") or inner.file is not None:
        raise UsageError(f"{option}={name}: vLLM is given a directory or a hub model with *.safetensors.")
    return replace(inner, name=name, base=f"{VLLM_PREFIX}{inner.base}", engine="vllm")


def _parted(name: str) -> tuple[str, str | None]:
    """The texts before and behind the first ``+``. The name of an existing path is not divided."""
    stem, plus, adapter = name.partition("+")
    return (name, None) if not plus or is_place(Path(name)) else (stem, adapter)


def _resolve_stem(stem: str, registry: Registry, known: Collection[str]) -> ModelSpec | None:
    """``base[-quant]``. A quantisation may hold a hyphen itself, so the longest that fits comes first."""
    spec = _resolve_base(stem, registry)
    if spec is not None:
        return spec
    for quant in sorted(known, key=len, reverse=True):
        spec = _resolve_base(stem.removesuffix(f"-{quant}"), registry) if stem.endswith(f"-{quant}") else None
        if spec is not None:
            return replace(spec, quant=quant)
    return None


def _resolve_adapter(text: str, registry: Registry, where: str) -> Adapter:
    """The place of an adapter.

    Raises:
        UnknownModelError: there is no such directory or name. UsageError: no hub id.
    """
    if (own := registry.get(text, {}).get("adapter")) is not None:
        return _adapter(text, own)
    if text.startswith(HUB_PREFIX) or (text and Path(text).expanduser().is_dir()):
        return _adapter(text, text)
    raise UnknownModelError(
        f"{where}: there is no adapter {text or '(nothing)'}: name a directory with adapter_config.json and "
        "adapter_model.safetensors in it, hf:org/name, or a known model that has one."
    )


def _resolve_base(base: str, registry: Registry) -> ModelSpec | None:
    if (entry := registry.get(base)) is not None:
        return _registered(base, entry)
    if base.startswith((HUB_PREFIX, PACKAGE_PREFIX)):
        return _place(ModelSpec(base, base, location=base))
    if base and (os.sep in base or base.startswith(".") or is_place(Path(base))):
        path = Path(base).expanduser()
        return ModelSpec(base, base, source="path", location=str(path)) if is_place(path) else None
    return None


def _adapter(name: str, location: str) -> Adapter:
    if location.startswith(HUB_PREFIX):
        return Adapter(name, "hub", *_hub_place(location, f"{name}: an adapter of the hub"))
    if location.startswith(FIXTURE_PREFIX):
        return Adapter(name, "path", str(fixtures_dir() / location.removeprefix(FIXTURE_PREFIX)))
    return Adapter(name, "path", str(Path(location).expanduser()))


def _registered(name: str, entry: Mapping[str, Any]) -> ModelSpec:
    own = entry.get("adapter")
    plain: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items() if key != "adapter"
    }
    spec = _place(ModelSpec(name, name, **plain))
    return spec if own is None else replace(spec, adapter=_adapter(name, own))


def _server(location: str) -> str | None:
    """The kind of server that ``openai:NAME`` or ``ollama:NAME`` names, or None."""
    return next((kind for kind in SERVERS if location.startswith(f"{kind}:")), None)


def _place(spec: ModelSpec) -> ModelSpec:
    location = spec.location
    if (kind := _server(location)) is not None:
        name = location.removeprefix(f"{kind}:").strip()
        if not name or not name.isprintable():
            raise UsageError(f"{spec.name}: name the model as its server does: {kind}:NAME.")
        return replace(spec, source="server", location=name, engine=kind)
    if location.startswith(FIXTURE_PREFIX):
        path = fixtures_dir() / location.removeprefix(FIXTURE_PREFIX)
        return replace(spec, source="path", location=str(path), embedded=True)
    if location.startswith(HUB_PREFIX):
        place, _, file = location.partition(MEMBER)
        hub_id, revision = _hub_place(place, f"{spec.name}: a hub model")
        wanted = _gguf_name(spec, file or spec.file)
        return replace(spec, source="hub", location=hub_id, revision=revision or spec.revision, file=wanted)
    if location.startswith(PACKAGE_PREFIX):
        package, _, inside = location.removeprefix(PACKAGE_PREFIX).partition("/")
        wanted = _gguf_name(spec, inside)
        if not package or wanted is None:
            raise UsageError(f"{spec.name}: a model in a Python package is written 'package:NAME/FILE.gguf'.")
        return replace(spec, source="package", location=package, file=wanted)
    path = Path(location).expanduser() / (_gguf_name(spec, spec.file) or "")
    return replace(spec, source="path", location=str(path), file=None)


def _gguf_name(spec: ModelSpec, file: str | None) -> str | None:
    if file and not file.endswith(GGUF):
        raise UsageError(f"{spec.name}: {file} is no name of a GGUF file: it must end in {GGUF}.")
    return file or None


def _hub_place(text: str, what: str) -> tuple[str, str | None]:
    """Hub id and revision of ``hf:org/name[@revision]``.

    Raises:
        UsageError: it is not written so.
    """
    hub_id, _, revision = text.removeprefix(HUB_PREFIX).partition("@")
    if not HUB_ID.fullmatch(hub_id):
        raise UsageError(f"{what} is written 'hf:org/name' or 'hf:org/name@revision'.")
    return hub_id, revision or None
