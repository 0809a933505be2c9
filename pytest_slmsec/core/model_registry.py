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
    check_addresses(entry.get("base_url", ""), f"{where}: `base_url` of the model {name!r}")
    urls, keys = _several(entry.get("base_url", "")), _several(entry.get("key_variable", ""))
    if not all(isinstance(key, str) for key in keys) or len(keys) not in (1, len(urls)):
        raise UsageError(
            f"{where}: `key_variable` of the model {name!r} must be the name of one environment variable, or a list of "
            f"{len(urls)}, one for each address of `base_url`."
        )
    if not isinstance(entry.get("adapter", ""), str):
        raise UsageError(f"{where}: `adapter` of the model {name!r} must be text: a directory or 'hf:org/name'.")


def check_addresses(given: Any, what: str) -> None:
    """See that an address is text, or a list of texts, each once.

    Args:
        what: where it stands, the beginning of the message.

    Raises:
        UsageError: it is not.
    """
    urls = _several(given)
    if not urls or not all(isinstance(url, str) for url in urls) or len({*urls}) < len(urls):
        raise UsageError(
            f"{what} must be a URL such as http://localhost:8000/v1, or a list of URLs: of servers that run the same "
            "model, each once."
        )


def _several(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]
