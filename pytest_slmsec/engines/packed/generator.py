"""Generation with continuous batching: as soon as one answer ends, the next prompt takes its slot."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from pytest_slmsec.engines.decoding.drafts import DRAFTED, DraftedRow
from pytest_slmsec.engines.decoding.greedy import GenerationTiming, Row, append_next_tokens, next_tokens
from pytest_slmsec.engines.decoding.network import PAD
from pytest_slmsec.engines.decoding.sampling import Sampler
from pytest_slmsec.engines.packed.attention import KeysAndValues
from pytest_slmsec.engines.packed.layout import Segment
from pytest_slmsec.engines.packed.linears import LINES_OF_HEAD
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.slots import Slots
from pytest_slmsec.engines.packed.steps import Recorder, Steps
from pytest_slmsec.engines.packed.tile import Tile
from pytest_slmsec.engines.prompting.encoded import Tokens

SLOTS = {"cpu": 64, "cuda": 128}
SHRINK_BELOW = {"cpu": 0.8, "cuda": 0.5}
"""When no prompt waits any more and at most this share of the slots is in use, the cache is copied to one with only the
slots in use. The copy costs time once, and on CUDA the graph of a step is recorded again."""

FED_WITH_GUESSES = LINES_OF_HEAD
"""Most tokens that are fed in a step with guesses. With more the products are no longer limited by reading the weights,
and a guessed token costs nearly as much as a token of a step without guesses (docs/performance.md)."""


@dataclass(frozen=True, slots=True)
class PrefilledPrompt:
    """A prompt whose keys and values are computed and which waits for a free slot.

    Attributes:
        row: the answer to generate; it has its first token.
        tile: keys and values of the whole tile that the prompt was fed in.
        start, length: the prompt's own tokens (without the shared prefix) in that tile.
    """

    row: Row
    tile: KeysAndValues
    start: int
    length: int

    def kv_slice(self) -> KeysAndValues:
        """Keys and values of the prompt's own tokens, by layer: [1, key-value heads, length, head size]."""
        own = slice(self.start, self.start + self.length)
        return {layer: (keys[:, :, own], values[:, :, own]) for layer, (keys, values) in self.tile.items()}


class ContinuousBatchGenerator:
    """Generates answers with a packed model, several at a time.

    Prompts are fed in packed tiles before a slot is free for them. Each step feeds one token for every slot. Each row
    ends at an end-of-text token, a stop string or its own limit, independently of the others.

    Args:
        slots: how many answers are generated at the same time; None for the device's default.
        recorder: records a step as a CUDA graph; None to run every step operator by operator.
        drafted: most tokens of an answer that are guessed in one step; None for the device's default. None are guessed
            where steps are recorded.
    """

    def __init__(
        self, model: PackedModel, slots: int | None = None, recorder: Recorder | None = None, drafted: int | None = None
    ) -> None:
        self.model = model
        self.slots = slots or SLOTS.get(model.device.type, SLOTS["cuda"])
        self._shrink_below = SHRINK_BELOW.get(model.device.type, SHRINK_BELOW["cuda"])
        self._recorder = recorder
        drafted = DRAFTED.get(model.device.type, 0) if drafted is None else drafted
        self._drafted = drafted if recorder is None else 0

    @torch.inference_mode()
    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
        """Generate all rows, in place.

        Args:
            ends: token ids that end a text.
        """
        timing = GenerationTiming()
        with self.model.packed():
            for prefix in dict.fromkeys(_prefix(row) for row in rows):
                self._generate_behind([row for row in rows if _prefix(row) == prefix], prefix, ends, timing)
        return timing

    def _generate_behind(
        self, rows: Sequence[Row], prefix: Tokens, ends: Collection[int], timing: GenerationTiming
    ) -> None:
        """Generate rows whose prompts all begin with `prefix`."""
        began = time.perf_counter()
        prefix_kv = self.model.prefix(prefix)
        timing.prefill_s += time.perf_counter() - began
        waiting, prefilled = deque(rows), deque[PrefilledPrompt]()
        cache = Slots(min(self.slots, len(rows)), prefix_kv, self.model.device)
        steps = Steps(self.model, cache, len(prefix), self._recorder)
        running: list[DraftedRow | None] = [None] * cache.count
        while True:
            began = time.perf_counter()
            free = [slot for slot, row in enumerate(running) if row is None]
            while free and (prefilled or waiting):
                if not prefilled:
                    prefilled += self._prefill_tile(waiting, prefix, prefix_kv, ends)
                    continue
                prompt = prefilled.popleft()
                if prompt.row.running:  # some answers end with their first token
                    slot = free.pop(0)
                    cache.fill(slot, prompt.kv_slice(), prompt.length)
                    running[slot] = DraftedRow(prompt.row, self._drafted)
            now = time.perf_counter()
            timing.prefill_s += now - began
            if timing.first_token_s is None:
                timing.first_token_s = now - began
            live = [slot for slot, row in enumerate(running) if row is not None]
            if not live:
                timing.unrecorded = None if self._recorder is None else self._recorder.refused
                return
            if not waiting and not prefilled and len(live) <= self._shrink_below * cache.count:
                cache.keep(live)
                running = [running[slot] for slot in live]
            self._step(running, steps, cache, ends)
            timing.decode_s += time.perf_counter() - now

    def _prefill_tile(
        self, waiting: deque[Row], prefix: Tokens, prefix_kv: KeysAndValues, ends: Collection[int]
    ) -> list[PrefilledPrompt]:
        """Feed as many of the waiting prompts as fill a tile, and append the first token of each answer."""
        segments: list[Segment] = []
        rows: list[Row] = []
        room = self.model.tile
        while waiting and (not rows or len(waiting[0].prompt) - len(prefix) <= room):
            row = waiting.popleft()
            own = tuple(row.prompt[len(prefix) :])
            segments.append(Segment(prefix, own, len(own), (), ()))
            rows.append(row)
            room -= len(own)
        tile: KeysAndValues = {}
        hidden = self.model.feed(Tile(segments, prefix_kv, tile))
        starts = [0]
        for one in segments:
            starts.append(starts[-1] + one.own)
        self._append_next_tokens(rows, hidden[[start - 1 for start in starts[1:]]], ends)
        self.model.counts.needed += starts[-1]
        return [
            PrefilledPrompt(row, tile, start, one.own) for row, start, one in zip(rows, starts, segments, strict=False)
        ]

    def _step(self, running: list[DraftedRow | None], steps: Steps, cache: Slots, ends: Collection[int]) -> None:
        """Generate at least one more token for every running answer, and free the slots of those that end."""
        live = sum(answer is not None for answer in running)
        guessed = FED_WITH_GUESSES // live - 1
        fed = [[PAD] if answer is None else answer.next(guessed) for answer in running]
        hidden = steps.feed(fed)
        starts = list(accumulate(map(len, fed), initial=0))
        samplers = {start: answer.row.sampler for start, answer in zip(starts, running, strict=False)
                    if answer is not None and answer.row.sampler is not None}  # fmt: skip
        best = self._next_tokens(hidden, samplers)
        kept = [0 if answer is None else answer.follow(best[start:end], ends)
                for answer, (start, end) in zip(running, pairwise(starts), strict=True)]  # fmt: skip
        cache.end_step(kept)
        self.model.counts.needed += sum(kept)
        for slot, answer in enumerate(running):
            if answer is None:
                continue
            if not answer.row.running:
                running[slot] = None
                cache.free(slot)
            elif not kept[slot]:
                cache.clear_rejected(slot)

    def _next_tokens(self, hidden: Tensor, samplers: Mapping[int, Sampler]) -> list[int | None]:
        """`next_tokens` from the hidden states at some positions, [positions, hidden size]."""
        found: list[int | None] = []
        for logits in self.model.head.logits(hidden, padded=self.model.device.type != "cpu"):
            here = {at - len(found): one for at, one in samplers.items() if at >= len(found)}
            found += next_tokens(logits, here)
        return found[: len(hidden)]

    def _append_next_tokens(self, rows: Sequence[Row], hidden: Tensor, ends: Collection[int]) -> None:
        """Append the next token of each row, from the hidden states after its last one ([rows, hidden size])."""
        done = 0
        for logits in self.model.head.logits(hidden):
            some = rows[done : done + len(logits)]
            append_next_tokens(some, logits[: len(some)], ends)
            done += len(logits)


def _prefix(row: Row) -> Tokens:
    return tuple(row.prompt[: min(row.shared, len(row.prompt) - 1)])
