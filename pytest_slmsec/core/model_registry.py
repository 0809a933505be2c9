"""The models that are known by name, and what an entry of the registry may hold."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import PACKAGE

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
    if not isinstance(entry.get("stream", True), bool):
        raise UsageError(f"{where}: `stream` of the model {name!r} must be true or false.")
    if not isinstance(entry.get("adapter", ""), str):
        raise UsageError(f"{where}: `adapter` of the model {name!r} must be text: a directory or 'hf:org/name'.")
