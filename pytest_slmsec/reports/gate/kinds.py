"""Variants by kind of perturbation as text, below the table of gates."""

from __future__ import annotations

from pytest_slmsec.core.wrap import shown
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.decision.variant_gates import KindChange, kind_changes
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.gate.categories import aligned

HEADINGS = ("kind", "variants", "base", "cand.", "lost/won", "drop", "bounds", "by itself")


def kind_tables(judgement: Judgement, everything: bool) -> list[str]:
    """With `everything`, a table for each benchmark of variants: what the gate on its mean would say of each kind."""
    lines: list[str] = []
    for pair in judgement.pairs if everything else ():
        rows = [_cells(change) for change in kind_changes(pair, judgement.config)]
        if rows:
            title = f"{shown(pair.base.benchmark)} by kind, each judged by itself and no part of the verdict"
            lines += ["", title, *aligned(HEADINGS, rows)]
    return lines


def _cells(change: KindChange) -> tuple[str, ...]:
    result, share = change.result, change.result.scale == 1
    values = [_number(value, share) for value in (change.base, change.candidate, result.estimate)]
    bounds = f"{_number(result.lower, share)} .. {_number(result.upper, share)}"
    return (shown(change.kind), f"{result.n:,}", *values[:2], f"{change.lost}/{change.gained}", values[2], bounds,
            "?" if result.verdict is Verdict.INCONCLUSIVE else result.verdict.value)  # fmt: skip


def _number(value: float | None, share: bool) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}" if share else f"{value:.2f}"
