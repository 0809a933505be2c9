"""Quartiles of many values of each benchmark and model: a row each, under the name of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import quantiles
from typing import NamedTuple

from pytest_slmsec.reports.page.axes import LINE, Scale, bottom_axis, colour, cut, line, picture, under_headings, words
from pytest_slmsec.reports.page.markup import Markup, fold, join, table, tag
from pytest_slmsec.reports.page.records import Key, Report

PAGE = 42
"""Rows in one picture, so that it fits a printed page."""
QUARTILES = ("least", "quarter", "median", "three quarters", "most")


class Box(NamedTuple):
    """Least, quartiles and most of the values of one benchmark and model."""

    benchmark: str
    model: str
    low: float
    first: float
    median: float
    third: float
    high: float


class Axis(NamedTuple):
    """What boxes are drawn on.

    Attributes:
        title, label: of the picture and of its axis. written: a value as text. tick: one on the axis, if otherwise.
    """

    title: str
    label: str
    scale: Scale
    written: Callable[[float | None], str]
    tick: Callable[[float], str] | None = None


def boxes(report: Report, values: Mapping[Key, Sequence[float]]) -> list[Box]:
    """A box for each benchmark and model that has values, in the order of the report."""
    place = {name: n for n, name in enumerate(report.benchmarks)}
    found = [_box(*key, those) for key, those in values.items() if those and key in report.newest]
    return sorted(found, key=lambda box: (place[box.benchmark], report.number(box.model)))


def _box(benchmark: str, model: str, values: Sequence[float]) -> Box:
    first, median, third = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return Box(benchmark, model, min(values), first, median, third, max(values))


def ends(rows: Iterable[Box]) -> list[float]:
    """Every value that is drawn."""
    return [value for box in rows for value in box[2:]]


def pictures(report: Report, rows: Sequence[Box], axis: Axis, key: str) -> list[Markup]:
    """All boxes, `PAGE` of them a picture."""
    return [_picture(report, rows[start : start + PAGE], axis, f"{key}-{start}") for start in range(0, len(rows), PAGE)]


def as_table(rows: Sequence[Box], axis: Axis, name: str) -> Markup:
    """The same numbers, folded away."""
    cells = [(box.benchmark, box.model, *map(axis.written, box[2:])) for box in rows]
    return fold(f"{name} as a table", table(("benchmark", "model", *QUARTILES), cells, axis.title))


def _picture(report: Report, rows: Sequence[Box], axis: Axis, key: str) -> Markup:
    drawn, y = under_headings(rows, lambda box: box.benchmark, lambda box, top: _row(report, box, axis, top + LINE / 2))
    below = bottom_axis(axis.scale, 8, y, axis.label, axis.tick or axis.written)
    return picture(key, axis.title, "; ".join(_told(box, axis) for box in rows), y + 32, below, *drawn)


def _told(box: Box, axis: Axis) -> str:
    return f"{box.benchmark}, {box.model}: {', '.join(map(axis.written, box[2:]))}"


def _row(report: Report, box: Box, axis: Axis, y: float) -> Markup:
    hue, at = colour(report.number(box.model)), axis.scale.at
    first, third = at(box.first), at(box.third)
    body = tag("rect", tag("title", _told(box, axis)), x=first, y=y - 5, width=max(third - first, 1.0), height="10",
               fill=hue, fill_opacity="0.6")  # fmt: skip
    return join(
        words(axis.scale.start - 8, y + 4, cut(box.model, 26), "end"),
        line(at(box.low), y, at(box.high), y, hue), body, line(at(box.median), y - 6, at(box.median), y + 6, width=2.0),
        words(axis.scale.end + 8, y + 4, axis.written(box.median)),
    )  # fmt: skip
