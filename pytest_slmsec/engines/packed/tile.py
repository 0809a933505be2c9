"""Attention over a tile: each token attends to the shared prefix and to the tokens before it in its own text.

Attention is called for each segment separately, so the result of one does not depend on the others in its tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from pytest_slmsec.engines.packed.attention import KeysAndValues
from pytest_slmsec.engines.packed.layout import Segment

Structure = tuple[int, int, tuple[int, ...]]
"""See `layout.Segment.structure`."""
REMEMBERED_SCORES = 1 << 15
"""Masks of at most so many elements are kept for later tiles; 512 of them in fp32 take 64 MB."""


@dataclass
class Tile:
    """Segments that are fed in one row; see `attention.AttentionHandler`.

    Attributes:
        segments: in the order in which they are fed.
        prefix: keys and values of the shared prefix by layer, [1, key-value heads, tokens, head size].
        captured: if given, keys and values of the whole tile are stored in it by layer.
        sliding_window: the smallest sliding window of the layers fed so far, or None. Longer texts cannot be packed.
    """

    segments: Sequence[Segment]
    prefix: KeysAndValues = field(default_factory=dict)
    captured: KeysAndValues | None = None
    sliding_window: int | None = None
    _large_masks: dict[Structure, Tensor] = field(default_factory=dict)

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """See `attention.AttentionHandler`; one row. The output is 0 where the tile is padded.

        On a CPU attention in bf16 is computed in fp32, where torch's function is faster and more exact.
        """
        if window is not None:
            self.sliding_window = min(window, self.sliding_window or window)
        if self.captured is not None:
            self.captured[layer] = key, value
        dtype = torch.float32 if query.device.type == "cpu" and query.dtype == torch.bfloat16 else query.dtype
        before = tuple(part.to(dtype) for part in self.prefix.get(layer, ()))
        out = self._attend(query.to(dtype), key.to(dtype), value.to(dtype), before, scaling)
        return out.to(query.dtype)

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, before: tuple[Tensor, ...], scaling: float) -> Tensor:
        out = torch.zeros_like(query)
        start = 0
        for segment in self.segments:
            rows = slice(start, start + len(segment.tokens))
            start = rows.stop
            keys, values = key[:, :, rows], value[:, :, rows]
            if segment.shared and before:
                keys, values = torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)
            plain = not segment.shared and not segment.parents
            mask = None if plain else self._mask(segment.structure, query)
            out[:, :, rows] = scaled_dot_product_attention(
                query[:, :, rows], keys, values, attn_mask=mask, is_causal=plain, scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )  # fmt: skip
        return out

    def _mask(self, structure: Structure, like: Tensor) -> Tensor:
        """The mask of a segment. It is made once for all layers; small masks are kept for later tiles too."""
        shared, own, parents = structure
        tokens = own + len(parents)
        if tokens * (shared + tokens) <= REMEMBERED_SCORES:
            return remembered_mask(structure, str(like.device), like.dtype)
        if structure not in self._large_masks:
            self._large_masks[structure] = mask_of(structure, str(like.device), like.dtype)
        return self._large_masks[structure]


def mask_of(structure: Structure, device: str, dtype: torch.dtype) -> Tensor:
    """The attention mask of a segment, which is added to the scores: [tokens, prefix + tokens].

    0 where a token may attend (the prefix, the tokens before it in its text, itself), minus infinity elsewhere.
    """
    shared, own, parents = structure
    length = own + len(parents)
    seen = torch.zeros(length, shared + length, dtype=torch.bool)
    seen[:, :shared] = True
    seen[:own, shared : shared + own] = torch.ones(own, own, dtype=torch.bool).tril()
    for node, parent in enumerate(parents, own):
        seen[node] = seen[parent]
        seen[node, shared + node] = True
    return torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, float("-inf")).to(device)


remembered_mask = lru_cache(maxsize=512)(mask_of)
