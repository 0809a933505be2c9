"""In which order the items of a benchmark are visited, and after how many of them the gate looks."""

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
"""Key of the facts of an arm under which its visit stands."""


@dataclass(frozen=True, slots=True)
class Visit:
    """The order in which the items of a benchmark were visited, and the looks at them.

    Attributes:
        method: one of `EARLY_STOPS` but ``off``, or ``two-stage``: a sample that is extended where it does not decide.
        seed: of the order. order: rows of the group, as visited. looks: numbers of items after which the gate looks,
            ascending; the last one is all of them.
    """

    method: str
    seed: int
    order: tuple[int, ...]
    looks: tuple[int, ...]

    @property
    def n_total(self) -> int:
        """Items of the whole benchmark."""
        return len(self.order)

    def segment(self, place: int) -> int:
        """How many looks come before the item at `place` of the order, counted from 0."""
        return bisect_right(self.looks, place)

    def to_json(self) -> dict[str, Any]:
        """The visit as plain data."""
        return {"method": self.method, "seed": self.seed, "order": list(self.order), "looks": list(self.looks)}


def obf_looks(n_total: int) -> tuple[int, ...]:
    """Numbers of items after which to look: 20, 40, 60, 80, 100 % of `n_total`, rounded up."""
    return tuple(math.ceil(n_total * k / LOOKS) for k in range(1, LOOKS + 1))


def visit_of(facts: Mapping[str, Any], where: str) -> Visit | None:
    """The visit in the facts of an arm; None where all items were asked for and judged once.

    Raises:
        CompareError: it is damaged.
    """
    stored = facts.get(FACT)
    if stored is None:
        return None
    try:
        visit = Visit(str(stored["method"]), int(stored["seed"]), tuple(map(int, stored["order"])),
                      tuple(map(int, stored["looks"])))  # fmt: skip
    except (KeyError, TypeError, ValueError):
        visit = None
    if visit is None or not visit.order or sorted(visit.order) != list(range(visit.n_total)) or (
        list(visit.looks) != sorted({*visit.looks}) or visit.looks[-1:] != (visit.n_total,)
    ):  # fmt: skip
        raise CompareError(f"{where}: its order of visiting ({FACT}) is damaged; measure it again.")
    return visit


def stop_early(method: str, n: int, window: int, strata: Sequence[str] | None = None, seed: int = SEED) -> Visit:
    """The visit of a benchmark of `n` items that may stop early.

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
    return Visit(method, seed, tuple(rows), looks)


def _interleaved(shuffled: Sequence[int], strata: Sequence[str], draw: random.Random) -> list[int]:
    parts: dict[str, list[int]] = {}
    for row in shuffled:
        parts.setdefault(strata[row], []).append(row)
    place = {row: (j + draw.random()) / len(part) for _, part in sorted(parts.items()) for j, row in enumerate(part)}
    return sorted(place, key=lambda row: place[row])


def sample_first(sample: Sequence[int], n: int, seed: int = SEED) -> Visit:
    """The visit of a benchmark of `n` items of which a `sample` of rows may decide; each part in random order."""
    draw = random.Random(f"two stages {seed}")
    chosen = set(sample)
    first, rest = list(sample), [row for row in range(n) if row not in chosen]
    draw.shuffle(first)
    draw.shuffle(rest)
    return Visit(TWO_STAGE, seed, (*first, *rest), (len(first), n) if rest else (n,))
