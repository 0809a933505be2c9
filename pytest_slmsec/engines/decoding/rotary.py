"""Rotary position embeddings whose angles depend on the length of the longest text in a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

DYNAMIC, LONGROPE = "dynamic", "longrope"
LENGTH_DEPENDENT = (DYNAMIC, LONGROPE)
"""Dynamic: the angles change with every length above the limit. Longrope: there is one set of angles below the limit
and one above it. Source: transformers, ``modeling_rope_utils.py`` (`dynamic_rope_update`)."""


def length_dependent(config: Any) -> dict[str, int]:
    """Kinds of such embeddings in a model, each with the number of tokens above which its angles change.

    Args:
        config: of a text model; its `rope_parameters` hold for all layers, or are a mapping by layer type.
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
