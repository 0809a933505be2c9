"""What a card says in all: one number where weights were given, and which form is dominated by another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_slmsec.reports.card.axes import Axis
from pytest_slmsec.reports.card.limits import QUALITY, CardLimits

COMPARED = ("accuracy", "size", "inference time", "memory")
"""Axes of the Pareto verdict: quality, cost, speed, memory."""
NO_WEIGHTS = "no weights in [tool.slmsec.card]"


@dataclass(frozen=True, slots=True)
class Card:
    """One model beside its base.

    Attributes:
        axes: the seven, in their order. overall: the one number, or None and `reason`.
        dominated_by: a model that is no worse on every compared axis and better on one, or None.
        compared: the axes that the Pareto verdict rests on; empty where it cannot be given.
    """

    model: str
    base: str
    axes: tuple[Axis, ...]
    overall: float | None
    reason: str | None
    dominated_by: str | None = None
    compared: tuple[str, ...] = ()

    def axis(self, name: str) -> Axis:
        """An axis by its name."""
        return next(axis for axis in self.axes if axis.name == name)


def overall(axes: Sequence[Axis], limits: CardLimits) -> tuple[float | None, str | None]:
    """The weighted geometric mean of what is gained on each axis against the base, or None and why.

    Gained is the ratio of qualities, and the inverse of the ratio of costs; the base itself has 1. The geometric mean
    is the one that orders models alike whichever model is the base (Fleming & Wallace 1986, "How not to lie with
    statistics: the correct way to summarize benchmark results", CACM 29:218).
    """
    if not limits.weights:
        return None, NO_WEIGHTS
    weighted = [axis for axis in axes if axis.name in limits.weights]
    missing = [axis.name for axis in weighted if axis.value is None]
    if missing:
        return None, f"{' and '.join(missing)} {'was' if len(missing) == 1 else 'were'} not measured"
    total = math.fsum(limits.weights[axis.name] for axis in weighted)
    logs = []
    for axis in weighted:
        gain = _gain(axis)
        if gain is None:
            return None, f"the base has no {axis.name} above chance"
        logs.append(limits.weights[axis.name] / total * (math.log(gain) if gain > 0 else -math.inf))
    return math.exp(math.fsum(logs)) if -math.inf not in logs else 0.0, None


def _gain(axis: Axis) -> float | None:
    assert axis.value is not None
    if axis.name not in QUALITY:
        return 1 / axis.value if axis.value > 0 else math.inf
    if axis.base is None or axis.base <= 0:
        return None
    return max(0.0, axis.value) / axis.base


def dominates(first: Card, second: Card, axes: Sequence[str]) -> bool:
    """Whether one model is no worse than another on each of `axes` and better on one, both beside the same base."""
    pairs = [(_better_is_more(first.axis(name)), _better_is_more(second.axis(name))) for name in axes]
    return all(mine >= theirs for mine, theirs in pairs) and any(mine > theirs for mine, theirs in pairs)


def _better_is_more(axis: Axis) -> float:
    assert axis.value is not None
    return axis.value if axis.name in QUALITY else -axis.value


def known_axes(cards: Sequence[Card]) -> tuple[str, ...]:
    """The compared axes that were measured on all of some models; none where quality was not, since the rest then says
    nothing."""
    found = tuple(name for name in COMPARED if all(card.axis(name).value is not None for card in cards))
    return found if COMPARED[0] in found and len(found) > 1 else ()


def with_dominance(cards: Sequence[Card], bases: Mapping[str, Card]) -> list[Card]:
    """The cards with the model that dominates each: another form of the same base, or the base itself.

    Args:
        bases: the card of each base beside itself.
    """
    found = []
    for card in cards:
        rivals = [bases[card.base], *(other for other in cards if other.base == card.base and other is not card)]
        axes = [known_axes([card, rival]) for rival in rivals]
        better = [rival.model for rival, names in zip(rivals, axes, strict=True)
                  if names and dominates(rival, card, names)]  # fmt: skip
        found.append(replace(card, dominated_by=better[0] if better else None, compared=known_axes([card, rivals[0]])))
    return found
