"""Score cards as text of 80 columns, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_slmsec.core.wrap import shown, wrapped
from pytest_slmsec.reports.card.axes import Axis
from pytest_slmsec.reports.card.limits import QUALITY, CardLimits
from pytest_slmsec.reports.card.verdicts import Card

HEAD = f"{'axis':15}{'value':>7}{'base':>7}{'limit':>9}"
MARKS = {True: "ok", False: "over", None: ""}


def card_lines(card: Card, limits: CardLimits, width: int) -> list[str]:
    """One card: a line an axis, the overall number, and whether another form dominates this one."""
    title = f"{shown(card.model)} against {shown(card.base)}"
    lines = [*wrapped(title, width), HEAD]
    for axis in card.axes:
        lines += _axis_lines(axis, width)
    return [*lines, *wrapped(_overall(card, limits), width), *wrapped(_pareto(card), width)]


def _axis_lines(axis: Axis, width: int) -> list[str]:
    if axis.value is None:
        return wrapped(f"{axis.name:15}{'-':>7}  {shown(axis.reason)}", width, " " * 24)
    sign = ">=" if axis.name in QUALITY else "<="
    limit = "" if axis.limit is None else f"{sign} {axis.limit:.3f}"
    mark = "under" if axis.within is False and axis.name in QUALITY else MARKS[axis.within]
    start = f"{axis.name:15}{axis.value:7.3f}{axis.base or 0.0:7.3f}{limit:>9}  {mark:5} "
    return wrapped(start + shown(axis.note), width, " " * len(start))


def _overall(card: Card, limits: CardLimits) -> str:
    if card.overall is None:
        return f"overall: none, because {card.reason}." if limits.weights else f"overall: none ({card.reason})."
    weights = ", ".join(f"{axis} {weight:g}" for axis, weight in limits.weights.items())
    return f"overall: {card.overall:.3f} times its base, with the weights {weights}."


def _pareto(card: Card) -> str:
    if not card.compared:
        return "worth it: not known, because quality or every cost was not measured."
    axes = ", ".join(card.compared)
    if card.dominated_by is None:
        return f"worth it: yes, no other form here is at least as good in each of {axes}."
    return f"worth it: NO, {shown(card.dominated_by)} dominates it: no worse in {axes}, and better in one."


def card_json(card: Card, limits: CardLimits) -> dict[str, Any]:
    """A card as plain data."""
    return {
        "model": card.model,
        "base": card.base,
        "axes": {axis.name: _axis_json(axis) for axis in card.axes},
        "overall": card.overall,
        "overall_reason": card.reason,
        "weights": dict(limits.weights),
        "dominated_by": card.dominated_by,
        "compared": list(card.compared),
        "worth_it": None if not card.compared else card.dominated_by is None,
    }


def _axis_json(axis: Axis) -> dict[str, Any]:
    return {
        "value": axis.value,
        "base": axis.base,
        "limit": axis.limit,
        "within": axis.within,
        "note": axis.note,
        "reason": axis.reason,
    }


def over_lines(cards: Sequence[Card]) -> list[str]:
    """The models that another form dominates, by name."""
    return [f"{shown(card.model)} is dominated by {shown(card.dominated_by)}." for card in cards if card.dominated_by]
