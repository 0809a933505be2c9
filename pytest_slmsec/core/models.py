"""The names of models: ``base[-quant][+adapter]``, ``openai:NAME`` and ``ollama:NAME`` for what a server runs, or
``replay:PATH[::NAME]`` for recorded answers.

`base` is a name of the registry (`models.toml`, or ``[tool.slmsec.models.NAME]``), a local directory, or
``hf:org/name[@revision]``, or a GGUF file: a local one, ``hf:org/name[@revision]::FILE.gguf``, or
``package:NAME/FILE.gguf``, a file of an installed Python package. `quant` is a
quantisation or a dtype. `adapter` is a local directory,
``hf:org/name[@revision]``, or a name of the registry whose entry has an adapter: that one.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pytest_slmsec.core.choices import DTYPES as DTYPES
from pytest_slmsec.core.errors import UnknownModelError, UsageError
from pytest_slmsec.core.paths import PACKAGE, fixtures_dir

FIXTURE_PREFIX = "fixture:"
HUB_PREFIX = "hf:"
PACKAGE_PREFIX = "package:"
REPLAY_PREFIX = "replay:"
SERVERS = ("openai", "ollama")
"""Prefixes of models behind a server: ``openai:NAME``, ``ollama:NAME``."""
MEMBER = "::"
GGUF = ".gguf"
GGUF_MAGIC = b"GGUF"
"""What every GGUF file begins with, whatever its name: a blob of Ollama is called ``sha256-...``."""
MOST_PARTS = 64
NEAR, MOST_NEAR = 0.5, 4
"""Least similarity of a proposed name (ratio of difflib), and the largest number of proposals."""
COMMIT = re.compile(r"[0-9a-f]{40}")
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter as the user named it, with where it is found.

    Attributes:
        name: as written behind the ``+``. source: ``path`` (a directory) or ``hub``.
        location: the directory, or the hub id. revision: pinned hub revision, or None for the newest.
    """

    name: str
    source: Literal["path", "hub"]
    location: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model as the user named it, with where it is found.

    Attributes:
        name: as written on the command line; what tables and ids show. Recorded answers go by a short name.
        base, quant: parts of the name. adapter: its last part, or that of the registry's entry.
        source: ``path`` (a directory), ``hub``, ``package`` (a Python package), ``replay`` (recorded answers), or
            ``server``.
        location: the directory or GGUF file, the hub id, the name of the package, the file or folder of
            recorded answers, or the server's own
            name for it.
        member: which of several models in a file of recorded answers.
        revision: hub revision, a commit or a branch, or None for the newest.
        file: the GGUF file of a hub model, where it is one, or of a package.
        engine: the back end that loads it unquantised.
        gptq_group_size: columns that share a scale when GPTQ is made of it.
        context_tokens: prompt plus answer, where the registry knows it.
        base_url, key_variable: address of the server, and the environment variable that holds its key, where they
            are not those of the run.
        expected_model: the name that the server reports for the model if that is another one, such as the model behind
            a deployment; ``*``, ``?`` and ``[...]`` are wildcards.
        licence, gated: facts for `slmsec list`; a gated model needs an accepted licence and a token.
        chat_template: whether its tokenizer brings one; None: not known here.
        embedded: ships with the project, together with the items it was made for.
    """

    name: str
    base: str
    quant: str | None = None
    adapter: Adapter | None = None
    source: Literal["path", "hub", "package", "replay", "server"] = "hub"
    location: str = ""
    member: str | None = None
    revision: str | None = None
    file: str | None = None
    engine: str = "transformers"
    gptq_group_size: int = 128
    context_tokens: int | None = None
    base_url: str | None = None
    key_variable: str | None = None
    expected_model: str | None = None
    licence: str | None = None
    gated: bool = False
    chat_template: bool | None = None
    embedded: bool = False

    @property
    def is_pinned(self) -> bool:
        """Whether its revision is a commit, so that the hub always gives the same files."""
        return self.revision is not None and COMMIT.fullmatch(self.revision) is not None

    @property
    def names(self) -> tuple[str, ...]:
        """All spellings of its name: recorded answers have a short name and a path."""
        if self.source != "replay":
            return (self.name,)
        return self.name, f"{REPLAY_PREFIX}{self.location}{MEMBER + self.member if self.member else ''}"


Registry = Mapping[str, Mapping[str, Any]]
ENTRY_KEYS = {f.name for f in fields(ModelSpec)} - {"name", "base", "quant", "source", "member", "embedded"}


@cache
def shipped_registry() -> Registry:
    """The models the project knows by name, from `models.toml`."""
    return tomllib.loads((PACKAGE / "models.toml").read_text("utf-8"))


def check_entry(name: str, entry: Mapping[str, Any], where: str) -> None:
    """Refuse a registry entry with unknown keys, or without a location.

    Raises:
        UsageError: naming the entry and the key.
    """
    if unknown := sorted(set(entry) - ENTRY_KEYS):
        raise UsageError(f"{where}: model {name!r} has the unknown key {unknown[0]!r}; known: {sorted(ENTRY_KEYS)}.")
    if not isinstance(entry.get("location"), str):
        raise UsageError(f"{where}: model {name!r} needs `location`: a directory or 'hf:org/name'.")
    if not isinstance(entry.get("expected_model", ""), str):
        raise UsageError(f"{where}: `expected_model` of the model {name!r} must be text: the name that it reports.")
    if not isinstance(entry.get("adapter", ""), str):
        raise UsageError(f"{where}: `adapter` of the model {name!r} must be text: a directory or 'hf:org/name'.")


def split_names(values: Iterable[str]) -> list[str]:
    """Model names from repeated and comma-separated option values, in order, each once."""
    names: dict[str, None] = {}
    for value in values:
        whole = is_place(Path(value)) or (value.startswith(REPLAY_PREFIX) and _recorded_place(value)[0].exists())
        for name in [value] if whole else value.split(","):
            if name.strip():
                names[name.strip()] = None
    return list(names)


def is_place(path: Path) -> bool:
    """Whether a path is a directory or a GGUF file, so that it may hold a model."""
    return path.is_dir() or is_gguf(path)


def is_gguf(path: Path) -> bool:
    """Whether a file is in GGUF by its content, or claims to be by its name."""
    if not path.is_file():
        return False
    if path.suffix == GGUF:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
    except OSError:
        return False  # a file that cannot be read is no model


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
        return _replayed(name, option)
    if _server(name):
        return _place(ModelSpec(name, name, location=name))
    known = (*DTYPES, *quants)
    stem, adapter = _parted(name)
    spec = _resolve_stem(stem, registry, known)
    if spec is None:
        raise UnknownModelError(_unknown(name, stem, registry, known, option))
    if spec.source == "server" and stem != spec.base:
        raise UsageError(f"{option}={name}: what the server of {spec.base} runs is chosen there, and not by {stem}.")
    if adapter is not None:
        if spec.source == "server":
            raise UsageError(f"{option}={name}: an adapter is loaded by the server of {spec.base}, and not here.")
        if spec.adapter is not None:
            raise UsageError(f"{option}={name}: {spec.base} has an adapter already, and one is loaded at a time.")
        spec = replace(spec, adapter=_resolve_adapter(adapter, registry, f"{option}={name}"))
    return replace(spec, name=name)


def _parted(name: str) -> tuple[str, str | None]:
    """The texts before and behind the first ``+``. The name of an existing path is not divided."""
    stem, plus, adapter = name.partition("+")
    return (name, None) if not plus or is_place(Path(name)) else (stem, adapter)


def _resolve_stem(stem: str, registry: Registry, known: Collection[str]) -> ModelSpec | None:
    """``base[-quant]``. A quantisation may hold a hyphen itself, so the longest that fits comes first."""
    if (spec := _resolve_base(stem, registry)) is not None:
        return spec
    for quant in sorted(known, key=len, reverse=True):
        if stem.endswith(f"-{quant}") and (spec := _resolve_base(stem[: -len(quant) - 1], registry)) is not None:
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


def _replayed(name: str, option: str) -> ModelSpec:
    place, member = _recorded_place(name)
    if not place.exists():
        raise UnknownModelError(f"{option}={name}: there is no file or folder {place} of recorded answers.")
    short = REPLAY_PREFIX + (member or _tail(place, 2))
    return ModelSpec(short, short, source="replay", location=str(place), member=member, engine="replay")


def _recorded_place(name: str) -> tuple[Path, str | None]:
    """Path and model name of ``replay:PATH[::NAME]``. An existing path that contains ``::`` is not divided."""
    text = name.removeprefix(REPLAY_PREFIX)
    whole = Path(text or "(nothing)").expanduser()
    path, mark, member = text.rpartition(MEMBER)
    return (whole, None) if whole.exists() or not mark else (Path(path).expanduser(), member or None)


def _tail(path: Path, parts: int) -> str:
    """The last `parts` components of a path."""
    return "/".join([part for part in path.resolve().parts if part != os.sep][-parts:])


def distinct(specs: Iterable[ModelSpec]) -> tuple[ModelSpec, ...]:
    """The models without duplicates. Recorded answers with equal short names get longer names."""
    found = list(dict.fromkeys(specs))
    for parts in range(3, MOST_PARTS):
        names = [spec.name for spec in found]
        if len(set(names)) == len(names):
            break
        found = [_longer(spec, parts) if names.count(spec.name) > 1 else spec for spec in found]
    return tuple(found)


def _longer(spec: ModelSpec, parts: int) -> ModelSpec:
    if spec.source != "replay":
        return spec
    name = f"{REPLAY_PREFIX}{_tail(Path(spec.location), parts)}{MEMBER + spec.member if spec.member else ''}"
    return replace(spec, name=name, base=name)


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
    return Adapter(name, "path", str(Path(location).expanduser()))


def _registered(name: str, entry: Mapping[str, Any]) -> ModelSpec:
    own = entry.get("adapter")
    spec = _place(ModelSpec(name, name, **{key: value for key, value in entry.items() if key != "adapter"}))
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


def _unknown(name: str, stem: str, registry: Registry, known: Collection[str], option: str) -> str:
    base = _base_of(stem, registry)
    if base is not None:
        quant = stem.removeprefix(base + "-")
        near = _either(f"{base}-{one}" for one in _nearest(quant, known))
        hint = f" (did you mean {near}?)" if near else ""
        return f"{option}={name}: {quant!r} is no known quantisation{hint}; known: {', '.join(known)}."
    if Path(stem).is_file():
        return f"{option}={name}: {stem} is a file, but no GGUF file (it does not begin with {GGUF_MAGIC.decode()})."
    if os.sep in stem or stem.startswith("."):
        return (
            f"{option}={name}: there is no directory {stem}; name one with config.json and *.safetensors in it, or a "
            "GGUF file."
        )
    quant = next((f"-{one}" for one in sorted(known, key=len, reverse=True) if stem.endswith(f"-{one}")), "")
    near = _either(f"{one}{quant}" for one in _nearest(stem.removesuffix(quant), registry))
    hint = f"; did you mean {near}?" if near else "."
    return (
        f"{option}={name}: no such model{hint} `slmsec list` shows the known names; "
        "a local directory or hf:org/name works too."
    )


def _base_of(stem: str, registry: Registry) -> str | None:
    """The longest known model or path such that `stem` is it, a hyphen and something more; None where there is none."""
    known = [base for base in registry if stem.startswith(base + "-")]
    places = [stem[:at] for at, char in enumerate(stem) if char == "-" and at and is_place(Path(stem[:at]))]
    return max([*known, *places], key=len, default=None)


def _nearest(text: str, names: Iterable[str]) -> list[str]:
    """Up to `MOST_NEAR` proposals: the names that begin with `text`, or else those most similar to it."""
    names = list(names)
    if text and (longer := [name for name in names if name.startswith(text)]):
        return longer[:MOST_NEAR]
    ratios = {name: difflib.SequenceMatcher(None, text, name).ratio() for name in names}
    best = max(ratios.values(), default=0.0)
    return [name for name, ratio in ratios.items() if ratio == best][:MOST_NEAR] if best >= NEAR else []


def _either(names: Iterable[str]) -> str:
    """``a, b or c``."""
    *first, last = [*names] or [""]
    return f"{', '.join(first)} or {last}" if first else last
