"""Names of recorded answers: ``replay:PATH[::NAME]``, and the short names that tables show."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pytest_slmsec.core.errors import UnknownModelError
from pytest_slmsec.core.models import MEMBER, REPLAY_PREFIX, ModelSpec

MOST_PARTS = 64
"""Short names have fewer components of their path than this."""


def recorded_model(name: str, option: str) -> ModelSpec:
    """The model that ``replay:PATH[::NAME]`` names.

    Args:
        option: where the name was written, for messages.

    Raises:
        UnknownModelError: there is no such file or folder.
    """
    place, member = recorded_place(name)
    if not place.exists():
        raise UnknownModelError(f"{option}={name}: there is no file or folder {place} of recorded answers.")
    short = REPLAY_PREFIX + (member or _tail(place, 2))
    return ModelSpec(short, short, source="replay", location=str(place), member=member, engine="replay")


def recorded_place(name: str) -> tuple[Path, str | None]:
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
