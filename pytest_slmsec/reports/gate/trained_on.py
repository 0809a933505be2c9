"""Sentences on scores without the items that stand in the training data, below the table of gates."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.core.wrap import counted, shown
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.records.trained_on import WithoutSeen, without_seen


def without_training(pairs: Sequence[Pair]) -> list[str]:
    """A sentence on each benchmark of which an item stands in the training data."""
    found = [(pair, seen) for pair in pairs if (seen := without_seen(pair)) is not None]
    return [_told(pair, seen) for pair, seen in found if seen.seen]


def _told(pair: Pair, found: WithoutSeen) -> str:
    items, scale = counted(found.items, "item"), float(pair.base.facts["scale"])
    name = f"{shown(pair.base.benchmark)}: {found.seen:,} of {items} in the training data"
    if found.base_without is None or found.candidate_without is None:
        return f"{name}; {found.reason}."
    with_them = f"{_value(found.base, scale)} and {_value(found.candidate, scale)}"
    without = f"{_value(found.base_without, scale)} and {_value(found.candidate_without, scale)}"
    return f"{name}; base and candidate score {with_them}, and {without} without them."


def _value(value: float, scale: float) -> str:
    return f"{100 * value:.1f} %" if scale == 1 else f"{value:.2f}"
