"""The attention function of packed tiles, registered with transformers.

Every segment of the tile attends to the shared prefix and to its own ancestors, in a call of its own, so that what it
gets does not depend on its neighbours. The linear layers of the model, quantised or not, stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pytest_slmsec.engines.packed.layout import Segment

NAME = "slmsec_packed"
KeysAndValues = dict[int, tuple[Tensor, Tensor]]
"""By layer: keys and values, each [1, key-value heads, tokens, head size]."""
REFUSED_OPTIONS = ("softcap", "s_aux")
"""What some architectures ask of their attention beyond scaling; scaled_dot_product_attention cannot do it."""


class NotPackable(Exception):
    """The model asks for an attention that a packed tile cannot have; says which."""


@dataclass
class Tile:
    """What the attention function must know about the tile in work.

    Attributes:
        segments: in their order. prefix: keys and values of the shared prefix by layer ([1, heads, tokens, size]).
        captured: where given, keys and values of the whole tile are left in it, by layer.
        sliding_window: the smallest window that a layer asked for, or None: longer texts cannot be packed.
    """

    segments: Sequence[Segment]
    prefix: KeysAndValues = field(default_factory=dict)
    captured: KeysAndValues | None = None
    sliding_window: int | None = None


_in_work: ContextVar[Tile] = ContextVar("slmsec_tile")


@contextmanager
def working_on(tile: Tile) -> Iterator[None]:
    """Attention sees this tile."""
    token = _in_work.set(tile)
    try:
        yield
    finally:
        _in_work.reset(token)


def register(name: str, function: Callable[..., tuple[Tensor, None]]) -> None:
    """Make an attention function known to transformers under a name; it needs no mask from there."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(name, function)
    AttentionMaskInterface.register(name, _no_mask)


def _no_mask(*_args: Any, **_options: Any) -> None:
    return None


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None = None,
    scaling: float | None = None, dropout: float = 0.0, **options: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """Attention of one layer over the tile in work.

    Args:
        query: [1, heads, tile tokens, head size]; key, value: [1, key-value heads, tile tokens, head size].

    Returns:
        [1, tile tokens, heads, head size]; zeros where the tile is padded.

    Raises:
        NotPackable: the layer asks for more than scaled dot products.
    """
    tile = _in_work.get()
    refuse_options(options)
    if (window := options.get("sliding_window")) is not None:
        tile.sliding_window = min(window, tile.sliding_window or window)
    if tile.captured is not None:
        tile.captured[module.layer_idx] = key, value
    out = torch.zeros_like(query)
    prefix = tile.prefix.get(getattr(module, "layer_idx", -1))
    start = 0
    for segment in tile.segments:
        rows = slice(start, start + len(segment.tokens))
        start = rows.stop
        keys, values = key[:, :, rows], value[:, :, rows]
        if segment.shared and prefix is not None:
            keys, values = torch.cat([prefix[0], keys], dim=2), torch.cat([prefix[1], values], dim=2)
        plain = not segment.shared and not segment.parents
        mask = None if plain else mask_of(segment.structure, str(query.device))
        out[:, :, rows] = scaled_dot_product_attention(
            query[:, :, rows], keys, values, attn_mask=mask, is_causal=plain, scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )  # fmt: skip
    return out.transpose(1, 2), None


def refuse_options(options: Mapping[str, Any]) -> None:
    """Refuse what scaled dot products cannot do.

    Raises:
        NotPackable: naming the option.
    """
    for name in REFUSED_OPTIONS:
        if options.get(name) is not None:
            raise NotPackable(f"its attention uses {name}")


@lru_cache(maxsize=512)
def mask_of(structure: tuple[int, int, tuple[int, ...]], device: str) -> Tensor:
    """Which keys each token of a segment may see ([tokens, prefix + tokens], bool): prefix, ancestors and itself."""
    shared, own, parents = structure
    length = own + len(parents)
    mask = torch.zeros(length, shared + length, dtype=torch.bool)
    mask[:, :shared] = True
    mask[:own, shared : shared + own] = torch.ones(own, own, dtype=torch.bool).tril()
    for node, parent in enumerate(parents, own):
        mask[node] = mask[parent]
        mask[node, shared + node] = True
    return mask.to(device)
