"""How good? A mark a model and benchmark with its interval, and the best constant answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_slmsec.reports.page.axes import (
    LINE,
    WIDTH,
    Scale,
    bottom_axis,
    colour,
    cut,
    framed,
    line,
    mark,
    picture,
    words,
)
from pytest_slmsec.reports.page.markup import Markup, fold, join, section, table
from pytest_slmsec.reports.page.numbers import interval_text, score_text
from pytest_slmsec.reports.page.records import Report
from pytest_slmsec.reports.page.rows import score_row

NAMES, VALUES = 190.0, 140.0
PAGE = 42
"""Lines in one picture, so that it fits a printed page."""
Row = Mapping[str, Any]


def scores_section(report: Report) -> Markup:
    """The picture, and the same as a table."""
    rows = [row for group in groups(report) for row in group]
    cells = [
        (row["benchmark"], row["model"], row["metric"], score_text(row["score"], row), interval_text(row),
         str(row["n"]), f"{score_text(row['constant'], row)} {row['constant_answer'] or ''}".strip())
        for row in rows
    ]  # fmt: skip
    headings = ("benchmark", "model", "metric", "score", "95 % interval", "items", "best constant answer")
    as_table = fold("Scores as a table", table(headings, cells, "Scores of all models"))
    return section("scores", "How good?", framed(*pictures(report)), as_table)


def groups(report: Report) -> list[list[Row]]:
    """The scores of each benchmark, in the order of the models."""
    found: list[list[Row]] = []
    for benchmark in report.benchmarks:
        runs = [report.run(benchmark, model) for model in report.models]
        found.append([score_row(run) for run in runs if run is not None])
    return found


def pictures(report: Report) -> list[Markup]:
    """All benchmarks, as many in one picture as a printed page holds."""
    return [_picture(report, page, f"scores-{n}") for n, page in enumerate(_pages(groups(report)))]


def picture_of_all(report: Report) -> Markup:
    """All benchmarks in one picture."""
    return _picture(report, groups(report), "scores")


def _pages(found: Sequence[list[Row]]) -> Iterator[list[list[Row]]]:
    page: list[list[Row]] = []
    lines = 0
    for group in found:
        if page and lines + len(group) + 1 > PAGE:
            yield page
            page, lines = [], 0
        page.append(group)
        lines += len(group) + 1
    if page:
        yield page


def _picture(report: Report, page: Sequence[list[Row]], key: str) -> Markup:
    scale = Scale(0, 1, NAMES, WIDTH - VALUES)
    drawn, y = [], 8.0
    for group in page:
        drawn.append(_group(report, group, scale, y))
        y += LINE * (len(group) + 1)
    axis = bottom_axis(scale, 8, y, "score, share of the scale; dashed: best constant answer", "{:.0%}".format)
    told = "; ".join(_told(row) for group in page for row in group)
    return picture(key, "Scores with 95 % intervals", told, y + 32, axis, *drawn)


def _told(row: Row) -> str:
    constant = "" if row["constant"] is None else f", constant answer {score_text(row['constant'], row)}"
    found = f"{row['benchmark']}, {row['model']}: {score_text(row['score'], row)} ({interval_text(row)}){constant}"
    return found


def _group(report: Report, group: Sequence[Row], scale: Scale, top: float) -> Markup:
    first = group[0]
    better = "" if first["higher_is_better"] else ", lower is better"
    title = words(4, top + 12, f"{cut(first['benchmark'], 44)} ({first['metric']}{better})", bold=True)
    constant = None
    if first["constant"] is not None:
        x = scale.at(first["constant"] / first["scale"])
        constant = line(x, top + LINE, x, top + LINE * (len(group) + 1), dashed=True)
    marks = [_mark(report, row, scale, top + LINE * (n + 1.5)) for n, row in enumerate(group)]
    return join(title, constant, *marks)


def _mark(report: Report, row: Row, scale: Scale, y: float) -> Markup:
    number = report.number(row["model"])
    name = words(NAMES - 8, y + 4, cut(row["model"], 26), "end")
    if row["score"] is None:
        return join(name, words(scale.end + 8, y + 4, "no score"))
    interval = None
    if row["score_low"] is not None and row["score_high"] is not None:
        low, high = (scale.at(row[key] / row["scale"]) for key in ("score_low", "score_high"))
        interval = line(low, y, high, y, colour(number), 2.0)
    value = words(scale.end + 8, y + 4, f"{score_text(row['score'], row)} of {row['n']:,} items")
    return join(name, interval, mark(number, scale.at(row["score"] / row["scale"]), y, _told(row)), value)
