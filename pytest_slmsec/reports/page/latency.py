"""How long? Quantiles of the seconds of each item, on a log axis."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles
from typing import NamedTuple

from pytest_slmsec.reports.page.axes import (
    LINE,
    WIDTH,
    Scale,
    around,
    bottom_axis,
    colour,
    cut,
    framed,
    line,
    picture,
    under_headings,
    words,
)
from pytest_slmsec.reports.page.markup import Markup, fold, join, paragraph, section, table, tag
from pytest_slmsec.reports.page.numbers import seconds_text
from pytest_slmsec.reports.page.records import Report

NAMES, PAGE = 190.0, 42
NO_MEMORY = "The memory of each batch is not recorded; the peak of each benchmark is among the costs."


class Box(NamedTuple):
    """Seconds of an item: least, quartiles, most."""

    benchmark: str
    model: str
    low: float
    first: float
    median: float
    third: float
    high: float


def boxes(report: Report) -> list[Box]:
    """Of each benchmark and model whose times are recorded."""
    found = []
    for (benchmark, model), (record, _) in report.newest.items():
        seconds = record.seconds.get((benchmark, model))
        if seconds:
            first, median, third = quantiles(seconds, n=4, method="inclusive") if len(seconds) > 1 else seconds * 3
            found.append(Box(benchmark, model, min(seconds), first, median, third, max(seconds)))
    place = {name: n for n, name in enumerate(report.benchmarks)}
    return sorted(found, key=lambda box: (place[box.benchmark], report.number(box.model)))


def latency_section(report: Report) -> Markup:
    """The picture and a table, as far as times are recorded."""
    rows = boxes(report)
    if not rows:
        return section("latency", "How long?", paragraph("No times are recorded."), paragraph(NO_MEMORY))
    scale = around([value for box in rows for value in box[2:]], NAMES, WIDTH - 100, log=True)
    drawn = [_picture(report, rows[start : start + PAGE], scale, f"latency-{start}")
             for start in range(0, len(rows), PAGE)]  # fmt: skip
    cells = [(box.benchmark, box.model, *map(seconds_text, box[2:])) for box in rows]
    headings = ("benchmark", "model", "least", "quarter", "median", "three quarters", "most")
    as_table = fold("Seconds as a table", table(headings, cells, "Seconds of an item"))
    return section("latency", "How long?", framed(*drawn), paragraph(NO_MEMORY), as_table)


def _picture(report: Report, rows: Sequence[Box], scale: Scale, key: str) -> Markup:
    drawn, y = under_headings(
        rows, lambda box: box.benchmark, lambda box, top: _row(report, box, scale, top + LINE / 2)
    )
    axis = bottom_axis(scale, 8, y, "seconds an item: least, quartiles, most (log axis)", seconds_text)
    told = "; ".join(_told(box) for box in rows)
    return picture(key, "Seconds of an item", told, y + 32, axis, *drawn)


def _told(box: Box) -> str:
    return f"{box.benchmark}, {box.model}: {', '.join(map(seconds_text, box[2:]))}"


def _row(report: Report, box: Box, scale: Scale, y: float) -> Markup:
    hue = colour(report.number(box.model))
    first, third = scale.at(box.first), scale.at(box.third)
    body = tag("rect", tag("title", _told(box)), x=first, y=y - 5, width=max(third - first, 1.0), height="10", fill=hue,
               fill_opacity="0.6")  # fmt: skip
    middle = scale.at(box.median)
    drawn = [
        line(scale.at(box.low), y, scale.at(box.high), y, hue),
        body,
        line(middle, y - 6, middle, y + 6, width=2.0),
    ]
    return join(words(NAMES - 8, y + 4, cut(box.model, 26), "end"), *drawn,
                words(scale.end + 8, y + 4, seconds_text(box.median)))  # fmt: skip
