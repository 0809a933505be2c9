"""Greedy generation in a fixed number of slots: a finished answer's slot goes to the next prompt at once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pytest_slmsec.engines.decoding.greedy import Row, take
from pytest_slmsec.engines.decoding.network import PAD
from pytest_slmsec.engines.packed.attention import KeysAndValues
from pytest_slmsec.engines.packed.layout import Segment
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.slots import Slots
from pytest_slmsec.engines.packed.steps import Recorder, Steps
from pytest_slmsec.engines.packed.tile import Tile
from pytest_slmsec.engines.prompting.encoded import Tokens

SLOTS = {"cpu": 64, "cuda": 128}
SHRINK_BELOW = {"cpu": 0.8, "cuda": 0.5}
"""Once nothing waits, slots are given up when no more than this share of them is in use: it copies the cache once, and
on CUDA the step is recorded anew."""


@dataclass(slots=True)
class Spent:
    """Where the time went: seconds reading prompts and writing answers, and until the first token of all.

    Attributes:
        unrecorded: why steps ran anew each time where they should have been replayed, or None.
    """

    prefill_s: float = 0.0
    decode_s: float = 0.0
    first_token_s: float | None = None
    unrecorded: str | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """A prompt that is read and waits for a slot: its keys and values, and where they stand in their tile."""

    row: Row
    captured: KeysAndValues
    start: int
    length: int

    def taken(self) -> KeysAndValues:
        """Its own part of the tile."""
        part = slice(self.start, self.start + self.length)
        return {layer: (keys[:, :, part], values[:, :, part]) for layer, (keys, values) in self.captured.items()}


class SlotGenerator:
    """Generates with a packed model.

    Prompts are read in packed tiles, ahead of need; every step feeds one token of every slot. A row ends by itself or
    at its own limit, whatever the others do.

    Args:
        slots: answers in work at a time, or None for the device's default.
        recorder: how steps are recorded and replayed, or None to run them anew.
    """

    def __init__(self, model: PackedModel, slots: int | None = None, recorder: Recorder | None = None) -> None:
        self.model = model
        self.slots = slots or SLOTS.get(model.device.type, SLOTS["cuda"])
        self._shrink_below = SHRINK_BELOW.get(model.device.type, SHRINK_BELOW["cuda"])
        self._recorder = recorder

    @torch.inference_mode()
    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> Spent:
        """Generate all rows greedily, in place.

        Args:
            ends: ids that end a text.
        """
        spent = Spent()
        with self.model.packed():
            for prefix in dict.fromkeys(_prefix(row) for row in rows):
                self._generate([row for row in rows if _prefix(row) == prefix], prefix, ends, spent)
        return spent

    def _generate(self, rows: Sequence[Row], prefix: Tokens, ends: Collection[int], spent: Spent) -> None:
        began = time.perf_counter()
        known = self.model.prefix(prefix)
        spent.prefill_s += time.perf_counter() - began
        waiting, ready = deque(rows), deque[Ready]()
        cache = Slots(min(self.slots, len(rows)), known, self.model.device)
        steps = Steps(self.model, cache, len(prefix), self._recorder)
        running: list[Row | None] = [None] * cache.count
        while True:
            began = time.perf_counter()
            free = [slot for slot, row in enumerate(running) if row is None]
            while free and (ready or waiting):
                if not ready:
                    ready += self._read(waiting, prefix, known, ends)
                elif (one := ready.popleft()).row.running:
                    slot = free.pop(0)
                    cache.fill(slot, one.taken(), one.length)
                    running[slot] = one.row
            now = time.perf_counter()
            spent.prefill_s += now - began
            if spent.first_token_s is None:
                spent.first_token_s = now - began
            live = [slot for slot, row in enumerate(running) if row is not None]
            if not live:
                spent.unrecorded = None if self._recorder is None else self._recorder.refused
                return
            if not waiting and not ready and len(live) <= self._shrink_below * cache.count:
                cache.keep(live)
                running = [running[slot] for slot in live]
            self._step(running, steps, cache, ends)
            spent.decode_s += time.perf_counter() - now

    def _read(self, waiting: deque[Row], prefix: Tokens, known: KeysAndValues, ends: Collection[int]) -> list[Ready]:
        """Read as many of the next prompts as fill a tile, and take the first token of each answer."""
        segments: list[Segment] = []
        rows: list[Row] = []
        room = self.model.tile
        while waiting and (not rows or len(waiting[0].prompt) - len(prefix) <= room):
            row = waiting.popleft()
            own = tuple(row.prompt[len(prefix) :])
            segments.append(Segment(prefix, own, len(own), (), ()))
            rows.append(row)
            room -= len(own)
        captured: KeysAndValues = {}
        hidden = self.model.feed(Tile(segments, known, captured))
        starts = [0]
        for one in segments:
            starts.append(starts[-1] + one.own)
        self._take(rows, hidden[[start - 1 for start in starts[1:]]], ends)
        self.model.counts.needed += starts[-1]
        return [Ready(row, captured, start, one.own) for row, start, one in zip(rows, starts, segments, strict=False)]

    def _step(self, running: list[Row | None], steps: Steps, cache: Slots, ends: Collection[int]) -> None:
        """One more token for every running row; the slots of those that end are free afterwards."""
        hidden = steps.feed([PAD if row is None else row.tokens[-1] for row in running])
        live = [slot for slot, row in enumerate(running) if row is not None]
        self.model.counts.needed += len(live)
        self._take([row for row in running if row is not None], hidden[live], ends)
        for slot in live:
            if not running[slot].running:  # type: ignore[union-attr]
                running[slot] = None
                cache.free(slot)

    def _take(self, rows: Sequence[Row], hidden: Tensor, ends: Collection[int]) -> None:
        """The next token of each row from the hidden states behind it ([rows, size])."""
        done = 0
        for logits in self.model.head.logits(hidden):
            some = rows[done : done + len(logits)]
            take(some, logits[: len(some)], ends)
            done += len(logits)


def _prefix(row: Row) -> Tokens:
    return tuple(row.prompt[: min(row.shared, len(row.prompt) - 1)])
