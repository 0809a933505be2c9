"""Losses by category as text, below the table of gates."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.core.wrap import shown
from pytest_slmsec.gates.decision.group_gates import WORST_CATEGORY
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.categories import CategoryLoss, category_losses

MOST_ROWS = 10
HEADINGS = ("category", "items", "base", "cand.", "lost/won")


def category_tables(judgement: Judgement, everything: bool) -> list[str]:
    """A table for each benchmark whose worst category is judged; with `everything`, for each that has categories.

    The categories that lost most come first; at most `MOST_ROWS` of them are shown, the JSON holds all.
    """
    judged = {gate.benchmark for gate in judgement.gates if gate.what == WORST_CATEGORY and not gate.advisory}
    lines: list[str] = []
    for pair in judgement.pairs:
        found = category_losses(pair) if everything or pair.base.benchmark in judged else []
        if found:
            rows = [_cells(loss, float(pair.base.facts["scale"])) for loss in found[:MOST_ROWS]]
            lines += ["", f"{shown(pair.base.benchmark)} by category, most lost first", *aligned(HEADINGS, rows)]
            more = len(found) - MOST_ROWS
            lines += [f"  and {more:,} more"] if more > 0 else []
    return lines


def _cells(loss: CategoryLoss, scale: float) -> tuple[str, ...]:
    values = [f"{100 * value:.1f}" if scale == 1 else f"{value:.2f}" for value in (loss.base, loss.candidate)]
    return shown(loss.category), f"{loss.items:,}", *values, f"{loss.lost}/{loss.gained}"


def aligned(headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A table as lines: the first column to the left, the others to the right."""
    table = [headings, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(headings))]
    return [
        "  "
        + " ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in table
    ]
