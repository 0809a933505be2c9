"""Rotary position embeddings whose angles depend on the length of the whole text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

LENGTH_DEPENDENT = ("dynamic", "longrope")
"""Source: transformers, ``modeling_rope_utils.py`` (`dynamic_rope_update`)."""


def length_dependent(config: Any) -> dict[str, int]:
    """Which such kinds a model has, and up to how many tokens the angles of each stay what they are.

    Args:
        config: of a text model; its `rope_parameters` are those of all layers, or a mapping by type of layer.
    """
    whole = int(getattr(config, "max_position_embeddings", 0) or 0)
    found = {}
    for one in _parameters(getattr(config, "rope_parameters", None) or {}):
        kind = str(one.get("rope_type"))
        if kind in LENGTH_DEPENDENT:
            found[kind] = int(one.get("original_max_position_embeddings") or whole)
    return found


def _parameters(rope: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    if "rope_type" in rope:
        yield rope
    yield from (one for one in rope.values() if isinstance(one, Mapping) and "rope_type" in one)
