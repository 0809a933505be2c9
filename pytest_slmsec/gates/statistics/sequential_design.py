"""Sequential designs: the order in which the items of a benchmark are asked, and after how many the gate decides."""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.core.errors import CompareError

LOOKS = 5
OFF, TWO_STAGE = "off", "two-stage"
EARLY_STOPS = (OFF, "obf", "hybrid", "anytime")
SEED = 0
FACT = "early_stop"
"""Key of the facts of a run under which its design stands."""


@dataclass(frozen=True, slots=True)
class SequentialDesign:
    """The order in which the items of a benchmark are asked, and the interim looks at them.

    Attributes:
        method: one of `EARLY_STOPS` but ``off``, or ``two-stage``: a sample that is extended where it does not decide.
        seed: of the random order.
        item_order: rows of the evaluation, in the order in which they are asked.
        interim_looks: numbers of items after which the gate decides, ascending; the last one is all of them.
    """

    method: str
    seed: int
    item_order: tuple[int, ...]
    interim_looks: tuple[int, ...]

    @property
    def n_total(self) -> int:
        """Items of the whole benchmark."""
        return len(self.item_order)

    @property
    def is_sound(self) -> bool:
        """Whether the order holds every row once, and the looks ascend and end at all items."""
        every_row_once = sorted(self.item_order) == list(range(self.n_total))
        ascending = list(self.interim_looks) == sorted(set(self.interim_looks))
        return self.n_total > 0 and every_row_once and ascending and self.interim_looks[-1:] == (self.n_total,)

    def segment(self, place: int) -> int:
        """How many looks come before the item at `place` of the order, counted from 0."""
        return bisect_right(self.interim_looks, place)

    def to_json(self) -> dict[str, Any]:
        """The design as plain data, under the keys of the record."""
        order, looks = list(self.item_order), list(self.interim_looks)
        return {"method": self.method, "seed": self.seed, "order": order, "looks": looks}


def obf_looks(n_total: int) -> tuple[int, ...]:
    """Numbers of items after which to look: 20, 40, 60, 80, 100 % of `n_total`, rounded up."""
    return tuple(math.ceil(n_total * k / LOOKS) for k in range(1, LOOKS + 1))


def design_of(facts: Mapping[str, Any], where: str) -> SequentialDesign | None:
    """The design in the facts of a run; None where all items were asked for and judged once.

    Raises:
        CompareError: it is damaged.
    """
    stored = facts.get(FACT)
    if stored is None:
        return None
    try:
        order, looks = tuple(map(int, stored["order"])), tuple(map(int, stored["looks"]))
        design = SequentialDesign(str(stored["method"]), int(stored["seed"]), order, looks)
    except (KeyError, TypeError, ValueError):
        design = None
    if design is None or not design.is_sound:
        raise CompareError(f"{where}: its order of visiting ({FACT}) is damaged; measure it again.")
    return design


def early_stopping_design(
    method: str, n: int, window: int, strata: Sequence[str] | None = None, seed: int = SEED
) -> SequentialDesign:
    """The design of a benchmark of `n` items that may stop early.

    The order is random. For ``obf`` it is stratified, so that every look sees each part of the benchmark in proportion:
    the j-th of the m items of a part stands near (j + 1/2) / m of the way. The betting tests need a plainly random one,
    in which the next item could be any.

    Args:
        window: the betting tests look after every so many items. strata: the part of each item, or None.
    """
    draw = random.Random(f"early stop {seed}")
    rows = list(range(n))
    draw.shuffle(rows)
    if method == "obf" and strata is not None:
        rows = _interleaved(rows, strata, draw)
    looks = obf_looks(n) if method == "obf" and n >= LOOKS else (*range(window, n, window), n)
    return SequentialDesign(method, seed, tuple(rows), looks)


def _interleaved(shuffled: Sequence[int], strata: Sequence[str], draw: random.Random) -> list[int]:
    parts: dict[str, list[int]] = {}
    for row in shuffled:
        parts.setdefault(strata[row], []).append(row)
    place = {row: (j + draw.random()) / len(part) for _, part in sorted(parts.items()) for j, row in enumerate(part)}
    return sorted(place, key=lambda row: place[row])


def two_stage_design(sample: Sequence[int], n: int, seed: int = SEED) -> SequentialDesign:
    """The design of a benchmark of `n` items of which a `sample` of rows may decide; each part in random order."""
    draw = random.Random(f"two stages {seed}")
    chosen = set(sample)
    first, rest = list(sample), [row for row in range(n) if row not in chosen]
    draw.shuffle(first)
    draw.shuffle(rest)
    return SequentialDesign(TWO_STAGE, seed, (*first, *rest), (len(first), n) if rest else (n,))
