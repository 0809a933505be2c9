"""Scores of a pair of runs by category: the tactic, weakness, severity, language or domain of each item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.gates.records.comparability import Pair

CATEGORY = "category"
"""Column of a record; absent where the benchmark names no categories, null where an item has none."""


@dataclass(frozen=True, slots=True)
class CategoryLoss:
    """What changed in one category.

    Attributes:
        items: its items. base, candidate: mean scores in the unit of the metric. lost, gained: items that were right
            and are wrong, and the reverse.
    """

    category: str
    items: int
    base: float
    candidate: float
    lost: int
    gained: int

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        return {name: getattr(self, name) for name in self.__slots__}


def rows_by_category(pair: Pair) -> Mapping[str, list[int]]:
    """The rows of each category, in the order of their first item; of both runs the one that knows them is asked."""
    names = pair.candidate.columns.get(CATEGORY) or pair.base.columns.get(CATEGORY) or ()
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        if name is not None:
            rows.setdefault(str(name), []).append(row)
    return rows


def part_of(pair: Pair, rows: list[int]) -> Pair:
    """The pair on some of its items."""
    return Pair(pair.base.taken(rows), pair.candidate.taken(rows), pair.warnings, pair.cost_errors)


def category_losses(pair: Pair) -> list[CategoryLoss]:
    """Every category, the one that lost most in all first."""
    up = bool(pair.base.facts["higher_is_better"])
    found = [_loss(name, part_of(pair, rows)) for name, rows in rows_by_category(pair).items()]
    return sorted(found, key=lambda row: row.items * (row.candidate - row.base) * (1 if up else -1))


def _loss(category: str, pair: Pair) -> CategoryLoss:
    before, after = pair.base.flags("correct"), pair.candidate.flags("correct")
    base, candidate = float(pair.base.values.mean()), float(pair.candidate.values.mean())
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    return CategoryLoss(category, pair.base.n, base, candidate, lost, gained)
