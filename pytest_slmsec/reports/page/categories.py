"""Weak where? The score of each model in each category, with the number of its items."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import NamedTuple
from urllib.parse import quote

from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.categories import CATEGORY
from pytest_slmsec.reports.page.markup import Markup, fold, paragraph, section, table, tag, visible
from pytest_slmsec.reports.page.numbers import score_text
from pytest_slmsec.reports.page.records import Report
from pytest_slmsec.reports.page.rows import quality, score_row
from pytest_slmsec.scoring.metrics import UNSCORED

FEW = 10
"""Items below which a mean says little, and is shown grey."""
SHADES = 5
MOST_ROWS, MOST_CELLS = 12, 1500
"""Categories of a benchmark, and cells in all, that are shown; the items can be filtered by any."""


class Cell(NamedTuple):
    """A model on one category: its items, and their mean in the unit of the metric."""

    n: int
    mean: float


Found = Mapping[str, Mapping[str, Cell]]
"""By model and category."""


def by_category(run: BenchmarkRun) -> Mapping[str, Cell]:
    """Each category of a run; items without a published answer are not counted."""
    values: dict[str, list[float]] = {}
    for name, value, parts in zip(run.columns.get(CATEGORY) or (), run.columns["value"], run.columns["parts"],
                                  strict=False):  # fmt: skip
        if name is not None and not parts.get(UNSCORED):
            values.setdefault(str(name), []).append(float(value))
    return {name: Cell(len(those), fmean(those)) for name, those in values.items()}


def categories_section(report: Report) -> Markup | None:
    """A table for each benchmark that has categories, the largest first."""
    tables, cells = list[Markup](), 0
    for benchmark in report.benchmarks:
        found = {model: by_category(run) for model in report.models
                 if (run := report.run(benchmark, model)) is not None}  # fmt: skip
        names = sorted(
            {name for rows in found.values() for name in rows}, key=lambda name: (-_items(found, name), name)
        )
        if not names or cells > MOST_CELLS:
            continue
        shown = names[:MOST_ROWS]
        cells += len(shown) * len(found)
        more = paragraph(f"And {len(names) - len(shown):,} smaller categories.") if len(names) > len(shown) else None
        tables.append(fold(f"{benchmark}: {len(names):,} categories", _table(report, benchmark, found, shown), more,
                           is_open=len(tables) < 3))  # fmt: skip
    if not tables:
        return None
    note = f"Mean score and number of items. The stronger the green, the better; grey: fewer than {FEW} items."
    return section("categories", "Weak where?", paragraph(note), *tables)


def _items(found: Found, name: str) -> int:
    return max((rows[name].n for rows in found.values() if name in rows), default=0)


def _table(report: Report, benchmark: str, found: Mapping[str, Mapping[str, Cell]], names: list[str]) -> Markup:
    rows = [(name, *(_cell(report, benchmark, model, name, found[model].get(name)) for model in found))
            for name in names]  # fmt: skip
    return table(("category", *found), rows, f"{benchmark} by category")


def _cell(report: Report, benchmark: str, model: str, name: str, cell: Cell | None) -> Markup | str:
    run = report.run(benchmark, model)
    if cell is None or run is None:
        return "-"
    row = score_row(run)
    judged = [judgement.candidate for judgement in report.judgements]
    state = {"b": benchmark, "c": name, **({"m": model} if model in judged else {})}
    link = "&".join(f"{key}={quote(visible(value), safe='')}" for key, value in state.items())
    said = f"{score_text(cell.mean, row)} ({cell.n})"
    return tag("a", said, href=f"#{link}", class_=shade(cell, quality(cell.mean, row)))


def shade(cell: Cell, share: float) -> str:
    """The class of a cell: grey where there are few items, else by its share of the scale."""
    return "few" if cell.n < FEW else f"heat{min(int(max(share, 0) * SHADES), SHADES - 1)}"
