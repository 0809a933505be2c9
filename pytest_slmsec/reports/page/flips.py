"""What changed? Of each candidate and benchmark the items that were lost and won."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.flips import flips
from pytest_slmsec.reports.page.axes import WIDTH, Scale, cut, framed, line, picture, under_headings, words
from pytest_slmsec.reports.page.markup import Markup, fold, join, paragraph, section, table, tag, visible
from pytest_slmsec.reports.page.records import Report

LOST, WON = "#d1403a", "#1f8a4c"
NAMES, COUNTS = 200.0, 60.0
PAGE = 40


class Changes(NamedTuple):
    """What changed on one benchmark, in items: right and now wrong, the reverse, and only worse or better."""

    candidate: str
    benchmark: str
    n: int
    lost: int
    gained: int
    worse: int
    better: int


def changes(judgement: Judgement) -> Iterator[Changes]:
    """The changes on each benchmark that could be compared."""
    for pair in judgement.pairs:
        found = Counter(flip["change"] for flip in flips(pair))
        numbers = (found[kind] for kind in ("lost", "gained", "worse", "better"))
        yield Changes(judgement.candidate, pair.base.benchmark, pair.base.n, *numbers)


def flips_section(report: Report) -> Markup | None:
    """The picture, and the same as a table."""
    rows = [row for judgement in report.judgements for row in changes(judgement)]
    if not rows:
        return None
    changed = [row for row in rows if row.lost or row.gained or row.worse or row.better]
    drawn = [_picture(changed[start : start + PAGE], f"flips-{start}", links=True)
             for start in range(0, len(changed), PAGE)]  # fmt: skip
    content = framed(*drawn) if drawn else paragraph("Not one item scores otherwise.")
    cells = [(row.candidate, row.benchmark, *(f"{count:,}" for count in row[2:])) for row in rows]
    headings = ("candidate", "benchmark", "items", "lost", "won", "only worse", "only better")
    as_table = fold("Lost and won as a table", table(headings, cells, "Items that score otherwise"))
    return section("flips", "What changed?", content, as_table)


def picture_of_all(report: Report) -> Markup:
    """All candidates and benchmarks in one picture."""
    return _picture([row for judgement in report.judgements for row in changes(judgement)], "flips")


def _picture(rows: Sequence[Changes], key: str, links: bool = False) -> Markup:
    most = max([1, *(max(row.lost + row.worse, row.gained + row.better) for row in rows)])
    scale = Scale(-most, most, NAMES + COUNTS, WIDTH - COUNTS)
    drawn, y = under_headings(rows, lambda row: row.candidate, lambda row, top: _row(row, scale, top, links))
    told = "; ".join(_told(row) for row in rows)
    middle = line(scale.at(0), 8, scale.at(0), y)
    legend = words(scale.at(0), y + 14, "lost  \N{LEFTWARDS ARROW}  items  \N{RIGHTWARDS ARROW}  won; pale: only "
                                        "worse or better", "middle")  # fmt: skip
    return picture(key, "Items lost and won", told, y + 20, *drawn, middle, legend, links=links)


def _told(row: Changes) -> str:
    return (f"{row.candidate}, {row.benchmark}: {row.lost} lost, {row.gained} won, {row.worse} worse, {row.better} "
            f"better of {counted(row.n, 'item')}")  # fmt: skip


def _row(row: Changes, scale: Scale, top: float, links: bool) -> Markup:
    zero, y = scale.at(0), top + 3
    sides = [
        _side([(-row.lost, LOST, "1"), (-row.worse, LOST, "0.45")], scale, y),
        _side([(row.gained, WON, "1"), (row.better, WON, "0.45")], scale, y),
    ]
    counts = [
        words(zero + (scale.start - zero) * (row.lost + row.worse) / -scale.low - 4, y + 9, f"{row.lost}", "end"),
        words(zero + (scale.end - zero) * (row.gained + row.better) / scale.high + 4, y + 9, f"{row.gained}"),
    ]
    kinds = ("lost", "gained")
    linked = [_link(row, kind, side) if links and side else side for kind, side in zip(kinds, sides, strict=True)]
    return join(words(NAMES - 8, y + 9, cut(row.benchmark, 27), "end"), *linked, *counts)


def _side(bars: Sequence[tuple[int, str, str]], scale: Scale, y: float) -> Markup:
    """The bars of one side, one behind the other."""
    drawn, start = list[Markup](), 0
    for length, colour, opacity in [bar for bar in bars if bar[0]]:
        ends = sorted((scale.at(start), scale.at(start + length)))
        drawn.append(tag("rect", x=ends[0], y=y, width=ends[1] - ends[0], height="10", fill=colour,
                         fill_opacity=opacity))  # fmt: skip
        start += length
    return join(*drawn)


def _link(row: Changes, kind: str, drawn: Markup) -> Markup:
    """A bar that filters the items."""
    candidate, benchmark = (quote(visible(name), safe="") for name in (row.candidate, row.benchmark))
    said = f"{'lost' if kind == 'lost' else 'won'} items of {row.benchmark}, {row.candidate}"
    return tag("a", drawn, href=f"#m={candidate}&b={benchmark}&k={kind}", aria_label=said)
