"""The key-value cache of continuous batching: one slot an answer, and the attention of one step over all slots."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pytest_slmsec.engines.packed.attention import KeysAndValues

STEP_TOKENS = {"cpu": 64, "cuda": 256}
"""The cache grows, and the attended length is rounded up, in multiples of this many tokens."""
TOGETHER = {"cpu": 8}
"""So many neighbouring slots are attended up to the length of their longest; on other devices all of them."""


class Slots:
    """A key-value cache with a fixed number of slots, all of which continue one shared prefix.

    Args:
        count: number of slots. prefix: keys and values of the shared prefix by layer; may be empty.

    Attributes:
        lengths: tokens in each slot after the prefix ([slots]).
        moved: whether a tensor of the cache has been replaced by another one since this was last set to False; a CUDA
            graph that was recorded before then reads the wrong memory.
    """

    def __init__(self, count: int, prefix: KeysAndValues, device: torch.device) -> None:
        self.count, self._prefix = count, prefix
        self.lengths = torch.zeros(count, dtype=torch.long, device=device)
        self._every = torch.arange(count, device=device)
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._ends = [0] * count
        self._step_tokens = STEP_TOKENS.get(device.type, STEP_TOKENS["cuda"])
        self._lengths: list[tuple[slice, int]] = []  # neighbouring slots, and how many of their tokens are attended
        self._parts: list[tuple[slice, int, Tensor]] = []  # the same with their masks, which are added to the scores
        self.moved = False

    def fill(self, slot: int, kv_slice: KeysAndValues, length: int) -> None:
        """Start a slot with the keys and values of a prompt's own tokens ([1, key-value heads, length, head size])."""
        for layer, (keys, values) in kv_slice.items():
            self._room(layer, keys, length + 1)
            self._keys[layer][slot, :, :length] = keys[0]
            self._values[layer][slot, :, :length] = values[0]
        self.lengths[slot] = self._ends[slot] = length

    def free(self, slot: int) -> None:
        """Empty a slot; it is fed padding until it is filled again.

        Values are set to zero, because zero attention weight times NaN or infinity is NaN.
        """
        self.lengths[slot] = self._ends[slot] = 0
        for values in self._values.values():
            values[slot] = 0

    def keep(self, slots: Sequence[int]) -> None:
        """Keep only these slots, in this order."""
        index = torch.tensor(slots, device=self.lengths.device)
        self.count, self.lengths = len(slots), self.lengths[index]
        self._ends = [self._ends[slot] for slot in slots]
        self.moved = True
        self._every = self._every[: len(slots)]
        self._keys = {layer: keys[index] for layer, keys in self._keys.items()}
        self._values = {layer: values[index] for layer, values in self._values.items()}

    def begin_step(self) -> tuple[int, ...]:
        """Make room for one more token in every slot. Returns the shape of the step: (slots, attended lengths)."""
        together = TOGETHER.get(self.lengths.device.type, self.count)
        firsts = range(0, self.count, together)
        self._lengths = [
            (slice(first, first + together), self._rounded(max(self._ends[first : first + together]) + 1))
            for first in firsts
        ]
        lengths = [length for _, length in self._lengths]
        for layer, keys in list(self._keys.items()):
            self._room(layer, keys, max(lengths))
        return self.count, *lengths

    def update_mask(self) -> None:
        """Mask the places of each slot that come after its newest token."""
        self._parts = []
        for part, length in self._lengths:
            after = torch.arange(length, device=self.lengths.device) > self.lengths[part, None]
            mask = torch.zeros(after.shape, device=after.device).masked_fill_(after, float("-inf"))
            self._parts.append((part, length, mask[:, None, None]))

    def end_step(self) -> None:
        """Count the token that every slot has just got."""
        self.lengths += 1
        self._ends = [end + 1 for end in self._ends]

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Attention of the newest token of every slot to the prefix and to its own slot.

        `window` is ignored: texts longer than the smallest sliding window are not packed (`PackedPath.accepts`).

        Args:
            query: [slots, heads, 1, head size]; key, value: [slots, key-value heads, 1, head size].

        Returns:
            [slots, heads, 1, head size].
        """
        keys, values = self._keys[layer], self._values[layer]
        keys[self._every, :, self.lengths] = key[:, :, 0]
        values[self._every, :, self.lengths] = value[:, :, 0]
        slots, heads, _, size = query.shape
        grouped = (query * scaling).reshape(slots, key.shape[1], heads // key.shape[1], size)
        prefix = self._prefix.get(layer)
        out = [
            attended(grouped[part], keys[part, :, :length], values[part, :, :length], mask, prefix)
            for part, length, mask in self._parts
        ]
        return torch.cat(out).reshape(slots, heads, 1, size)

    def _room(self, layer: int, like: Tensor, tokens: int) -> None:
        """Grow a layer's cache to at least `tokens` places; it at least doubles, so that it is seldom copied."""
        have = self._keys[layer].shape[2] if layer in self._keys else 0
        if have >= tokens:
            return
        want = max(self._rounded(tokens), 2 * have)
        self.moved = True
        for cache in (self._keys, self._values):
            grown = like.new_zeros(self.count, like.shape[1], want, like.shape[3])
            if have:
                grown[:, :, :have] = cache[layer]
            cache[layer] = grown

    def _rounded(self, tokens: int) -> int:
        return -(-tokens // self._step_tokens) * self._step_tokens


def attended(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
    """Attention of the newest token of some slots to the shared prefix and to their own tokens.

    Keys are multiplied by queries instead of queries by keys, which is several times faster on a CPU, because the keys
    are a view of the cache.

    Args:
        query: scaled, [slots, key-value heads, queries a key-value head, head size].
        keys, values: [slots, key-value heads, tokens, head size]. mask: added to the scores, [slots, 1, 1, tokens].
        prefix: keys and values of the shared prefix, [1, key-value heads, tokens, head size].

    Returns:
        As `query`.
    """
    scores = torch.matmul(keys, query.transpose(2, 3)).transpose(2, 3).float() + mask
    if prefix is None:
        return torch.matmul(scores.softmax(-1).to(values.dtype), values)
    slots, heads, group, size = query.shape
    n = prefix[0].shape[2]
    queries = query.transpose(0, 1).flatten(1, 2)  # [key-value heads, slots x group, head size]
    earlier = torch.matmul(queries, prefix[0][0].transpose(1, 2)).reshape(heads, slots, group, n)
    weights = torch.cat([earlier.transpose(0, 1).float(), scores], dim=-1).softmax(-1).to(values.dtype)
    shared = torch.matmul(weights[..., :n].transpose(0, 1).flatten(1, 2), prefix[1][0])
    return torch.matmul(weights[..., n:], values) + shared.reshape(heads, slots, group, size).transpose(0, 1)
