"""The key-value cache of continuous batching: one slot an answer, and the attention of one step over all slots."""

from __future__ import annotations

import math
import mmap
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from pytest_slmsec.engines.packed.attention import KeysAndValues

STEP_TOKENS = {"cpu": 64, "cuda": 256}
"""The cache grows, and the attended length is rounded up, in multiples of this many tokens."""
GROWTH = {"cpu": 1.25, "cuda": 2.0}
"""A cache that is too small grows by this factor: on CUDA more, since a step is then recorded again; on a CPU less, as
a limit of a process's data (`devices.limits`) counts places that are not written to as well."""
TOGETHER = {"cpu": 8}
"""So many neighbouring slots are attended up to the length of their longest; on other devices all of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Neighbouring slots, which are attended together.

    Attributes:
        length: how many of their places are attended. rows: which of the tokens fed are theirs. tokens: the most that
            are fed in one of them.
    """

    slots: slice
    length: int
    rows: slice
    tokens: int


class Slots:
    """A key-value cache with a fixed number of slots, all of which continue one shared prefix.

    On a CPU it takes no more memory than the tokens in its slots: see `zeros`.

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
        self._row_slots = torch.arange(count, device=device)  # for each token that is fed, its slot
        self._row_steps: Tensor | None = None  # and its place among those of its slot; None: one token in every slot
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._ends = [0] * count
        self._written = [0] * count  # places of each slot behind which nothing but zeros stands
        self._step_tokens = STEP_TOKENS.get(device.type, STEP_TOKENS["cuda"])
        self._growth = GROWTH.get(device.type, GROWTH["cuda"])
        self._parts: list[Part] = []
        self._masks: list[Tensor] = []  # of each part, added to the scores: [slots, 1, tokens, attended length]
        self.moved = False

    def fill(self, slot: int, kv_slice: KeysAndValues, length: int) -> None:
        """Start a slot with the keys and values of a prompt's own tokens ([1, key-value heads, length, head size])."""
        for layer, (keys, values) in kv_slice.items():
            self._room(layer, keys, length + 1)
            self._keys[layer][slot, :, :length] = keys[0]
            self._values[layer][slot, :, :length] = values[0]
        self.lengths[slot] = self._ends[slot] = self._written[slot] = length

    def free(self, slot: int) -> None:
        """Empty a slot; it is fed padding until it is filled again."""
        self.lengths[slot] = self._ends[slot] = 0
        self.clear_rejected(slot)

    def clear_rejected(self, slot: int) -> None:
        """Set to zero what stands behind the tokens of a slot. It is masked, but zero weight times NaN or infinity is
        NaN, and so is a masked score that is NaN."""
        for cache in (*self._keys.values(), *self._values.values()):
            cache[slot, :, self._ends[slot] : self._written[slot]] = 0
        self._written[slot] = self._ends[slot]

    def keep(self, slots: Sequence[int]) -> None:
        """Keep only these slots, in this order."""
        for cache in (self._keys, self._values):
            for layer in cache:  # one after the other, so that memory holds only one layer twice
                cache[layer] = self._copied(cache[layer], slots, cache[layer].shape[2])
        index = torch.tensor(slots, device=self.lengths.device)
        self.count, self.lengths = len(slots), self.lengths[index]
        self._ends = [self._ends[slot] for slot in slots]
        self._written = [self._written[slot] for slot in slots]
        self.moved = True
        self._row_slots = torch.arange(self.count, device=index.device)

    def begin_step(self, counts: Sequence[int]) -> tuple[int, ...]:
        """Make room for more tokens in every slot. Returns the shape of the step: (slots, attended lengths).

        Args:
            counts: how many tokens are fed in each slot, at least one. Fed are those of the first slot, then those of
                the second, and so on.
        """
        if max(counts) > 1:
            device = self.lengths.device
            self._row_slots = torch.tensor([slot for slot, count in enumerate(counts) for _ in range(count)]).to(device)
            self._row_steps = torch.tensor([step for count in counts for step in range(count)]).to(device)
        elif self._row_steps is not None:
            self._row_slots, self._row_steps = torch.arange(self.count, device=self.lengths.device), None
        starts = list(accumulate(counts, initial=0))
        ends = [end + count for end, count in zip(self._ends, counts, strict=True)]
        self._written = list(map(max, self._written, ends))
        together = TOGETHER.get(self.lengths.device.type, self.count)
        self._parts = []
        for first in range(0, self.count, together):
            last = min(first + together, self.count)
            length = self._rounded(max(ends[first:last]))
            rows = slice(starts[first], starts[last])
            self._parts.append(Part(slice(first, last), length, rows, max(counts[first:last])))
        lengths = [part.length for part in self._parts]
        for layer, keys in list(self._keys.items()):
            self._room(layer, keys, max(lengths))
        return self.count, *lengths

    def positions(self) -> Tensor:
        """The place in its slot of each token that is fed: [tokens]."""
        return self.lengths if self._row_steps is None else self.lengths[self._row_slots] + self._row_steps

    def update_mask(self) -> None:
        """Mask the places of each slot that come after each of its tokens."""
        device = self.lengths.device
        self._masks = []
        for part in self._parts:
            newest = self.lengths[part.slots, None] + torch.arange(part.tokens, device=device)
            after = torch.arange(part.length, device=device) > newest[:, :, None]
            mask = torch.zeros(after.shape, device=device).masked_fill_(after, float("-inf"))
            self._masks.append(mask[:, None])

    def end_step(self, kept: Sequence[int]) -> None:
        """Count the tokens that every slot keeps of those that were fed."""
        self.lengths += torch.tensor(kept, device=self.lengths.device)
        self._ends = [end + count for end, count in zip(self._ends, kept, strict=True)]

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, scaling: float, window: int | None
    ) -> Tensor:
        """Attention of the newest tokens of every slot to the prefix and to its own slot, each up to itself.

        `window` is ignored: texts longer than the smallest sliding window are not packed (`PackedPath.accepts`).

        Args:
            query: [tokens, heads, 1, head size]; key, value: [tokens, key-value heads, 1, head size].

        Returns:
            [tokens, heads, 1, head size].
        """
        keys, values, places = self._keys[layer], self._values[layer], self.positions()
        keys[self._row_slots, :, places] = key[:, :, 0]
        values[self._row_slots, :, places] = value[:, :, 0]
        rows, heads, _, size = query.shape
        grouped = (query * scaling).reshape(rows, key.shape[1], heads // key.shape[1], size)
        prefix = self._prefix.get(layer)
        out = []
        for part, mask in zip(self._parts, self._masks, strict=True):
            own = keys[part.slots, :, : part.length], values[part.slots, :, : part.length]
            if part.tokens == 1:
                out.append(attended(grouped[part.rows], *own, mask, prefix))
            else:
                out.append(self._attend_several(part, grouped[part.rows], *own, mask, prefix))
        return torch.cat(out).reshape(rows, heads, 1, size)

    def _attend_several(
        self, part: Part, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor,
        prefix: tuple[Tensor, Tensor] | None,
    ) -> Tensor:  # fmt: skip
        """See `attended`; queries and result are [tokens, key-value heads, group, size]. The queries of a slot are laid
        side by side, those of slots with fewer tokens padded with zeros."""
        assert self._row_steps is not None
        at = self._row_slots[part.rows] - part.slots.start, slice(None), self._row_steps[part.rows]
        _, heads, group, size = query.shape
        padded = query.new_zeros(len(keys), heads, part.tokens, group, size)
        padded[at] = query
        found = attended(padded.flatten(2, 3), keys, values, mask.repeat_interleave(group, 2), prefix)
        return found.reshape(padded.shape)[at]

    def _room(self, layer: int, like: Tensor, tokens: int) -> None:
        """Grow a layer's cache to at least `tokens` places."""
        have = self._keys[layer].shape[2] if layer in self._keys else 0
        if have >= tokens:
            return
        want = self._rounded(max(tokens, int(self._growth * have)))
        self.moved = True
        for cache in (self._keys, self._values):
            if have:
                cache[layer] = self._copied(cache[layer], range(self.count), want)
            else:
                cache[layer] = zeros((self.count, like.shape[1], want, like.shape[3]), like)

    def _copied(self, cache: Tensor, slots: Sequence[int], places: int) -> Tensor:
        """Some slots of a layer's keys or values, with so many places. Only what was written is copied."""
        found = zeros((len(slots), cache.shape[1], places, cache.shape[3]), cache)
        for new, old in enumerate(slots):
            written = min(self._written[old], cache.shape[2])
            found[new, :, :written] = cache[old, :, :written]
        return found

    def _rounded(self, tokens: int) -> int:
        return -(-tokens // self._step_tokens) * self._step_tokens


def zeros(shape: Sequence[int], like: Tensor) -> Tensor:
    """Zeros of this shape, of the dtype and on the device of `like`.

    On a CPU they come from the system and not from the C library: no page takes memory until it is written to, and all
    go back when the tensor is freed. The C library would keep them, though a cache that has grown has no use for them.

    Raises:
        MemoryError: the system has not so much memory for this process.
    """
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    size = math.prod(shape) * like.element_size()
    try:
        memory = mmap.mmap(-1, size, access=mmap.ACCESS_COPY)
    except OSError as error:
        raise MemoryError(f"{size} bytes for running answers: {error}") from error
    with suppress(OSError, AttributeError):  # only Linux has this; a huge page would hold places of several slots
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return torch.frombuffer(memory, dtype=like.dtype).reshape(*shape)


def attended(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, prefix: tuple[Tensor, Tensor] | None) -> Tensor:
    """Attention of the newest tokens of some slots to the shared prefix and to their own tokens.

    Keys are multiplied by queries instead of queries by keys, which is several times faster on a CPU, because the keys
    are a view of the cache.

    Args:
        query: scaled, [slots, key-value heads, queries a key-value head, head size].
        keys, values: [slots, key-value heads, tokens, head size].
        mask: added to the scores, [slots, 1, 1 or queries, tokens].
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
