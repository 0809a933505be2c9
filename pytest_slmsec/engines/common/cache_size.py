"""How much memory the keys and values of a text take, from the configuration of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cache_bytes(config: Mapping[str, Any], tokens: int, width: int) -> int:
    """Bytes of the keys and values of so many tokens; 0 where the configuration does not say."""
    layers, heads = config.get("num_hidden_layers"), config.get("num_attention_heads")
    hidden = config.get("hidden_size")
    if not (isinstance(layers, int) and isinstance(heads, int) and isinstance(hidden, int) and heads > 0):
        return 0
    shared = config.get("num_key_value_heads") or heads
    size = config.get("head_dim") or hidden // heads
    return 2 * layers * int(shared) * int(size) * width * tokens
