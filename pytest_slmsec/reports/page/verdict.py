"""Worse than allowed? Each gate's drop with its bounds, in multiples of its own limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.gate.text import HEADINGS, at_a_glance, cells, heading, sentences
from pytest_slmsec.reports.page.axes import LINE, WIDTH, Scale, bottom_axis, cut, framed, line, picture, words
from pytest_slmsec.reports.page.head import SIGNS, chip
from pytest_slmsec.reports.page.markup import Markup, fold, join, paragraph, section, table, tag
from pytest_slmsec.reports.page.records import Report

COLOURS = {Verdict.PASS: "#1f8a4c", Verdict.FAIL: "#d1403a", Verdict.INCONCLUSIVE: "#a8740a", Verdict.ERROR: "#8a5cc4"}
FURTHEST = 6.0
"""Multiples of the limit that the axis shows at most; bars go on beyond it."""
NAMES, SIGN_COLUMN = 210.0, 100.0
SENTENCES = 8
"""Sentences on a candidate that are not folded away."""
OPEN = 3
"""Candidates up to which all folds are open; of more, those that FAIL or cannot be compared."""
PAGE = 40
"""Gates in one picture, so that it fits a printed page."""


class Multiple(NamedTuple):
    """A gate in multiples of its limit; a bound that cannot be given is None."""

    judged: Judged
    estimate: float
    lower: float | None
    upper: float | None


def multiples(gates: Sequence[Judged]) -> list[Multiple]:
    """The gates that can be drawn: measured, with a limit above 0."""
    found = []
    for judged in gates:
        r = judged.result
        if r.estimate is not None and r.margin > 0:
            low, high = (None if bound is None else bound / r.margin for bound in (r.lower, r.upper))
            found.append(Multiple(judged, r.estimate / r.margin, low, high))
    return found


def verdict_section(report: Report) -> Markup | None:
    """A fold for each candidate: verdict, sentences, picture, and all gates as a table."""
    if not report.judgements:
        return None
    folds = [_fold(report, number) for number in range(len(report.judgements))]
    return section("verdict", "Worse than allowed?", *folds)


def _fold(report: Report, number: int) -> Markup:
    judgement = report.judgements[number]
    content = _one(judgement, number)
    return fold(chip(judgement), *content, is_open=_is_open(report, judgement), id_=f"verdict-{number}")


def _is_open(report: Report, judgement: Judgement) -> bool:
    return len(report.judgements) <= OPEN or judgement.verdict in (Verdict.FAIL, Verdict.ERROR)


def _one(judgement: Judgement, number: int) -> list[Markup]:
    gates = [(judged.benchmark or "the whole model", *(cell.strip() for cell in cells(judgement, judged)))
             for judged in judgement.gates]  # fmt: skip
    drawn = pictures(judgement, f"gate-{number}")
    return [
        tag("p", *_lines(heading(judgement))),
        framed(*drawn) if drawn else paragraph("No gate has both a measured drop and a limit above 0."),
        *_told_all(sentences(judgement)),
        fold(f"All {len(gates)} gates as a table",
             table(("benchmark", *HEADINGS), gates, f"Gates of {judgement.candidate}")),
    ]  # fmt: skip


def _told_all(found: Sequence[str]) -> list[Markup]:
    """Sentences as a list; of many, the further ones folded away."""
    first = tag("ul", *(tag("li", text) for text in found[:SENTENCES]))
    rest = found[SENTENCES:]
    if not rest:
        return [first]
    return [first, fold(counted(len(rest), "further sentence"), tag("ul", *(tag("li", text) for text in rest)))]


def _lines(texts: Sequence[str]) -> list[object]:
    return [part for text in texts for part in (" ".join(text.split()), tag("br"))]


def pictures(judgement: Judgement, key: str) -> list[Markup]:
    """The main gate of each benchmark and what decides, `PAGE` of them a picture."""
    decided = at_a_glance(judgement)
    rows = multiples([judged for judged in judgement.gates if judged in decided or judged.member.primary])
    return [_picture(judgement, rows[start : start + PAGE], f"{key}-{start}") for start in range(0, len(rows), PAGE)]


def _picture(judgement: Judgement, rows: Sequence[Multiple], key: str) -> Markup:
    reach = [value for row in rows for value in (row.estimate, row.lower, row.upper) if value is not None]
    low, high = max(min([*reach, 0.0]) - 0.2, -FURTHEST), min(max([*reach, 1.0]) + 0.2, FURTHEST)
    scale = Scale(low, high, NAMES, WIDTH - SIGN_COLUMN)
    bottom = 8.0 + LINE * len(rows)
    beyond = tag("rect", x=scale.at(1), y=4.0, width=scale.end - scale.at(1), height=bottom - 4, fill="#d1403a",
                 fill_opacity="0.13")  # fmt: skip
    drawn = [_row(judgement, row, scale, 8 + LINE * (n + 0.5)) for n, row in enumerate(rows)]
    title = f"Drop of {judgement.candidate} in multiples of each gate's limit"
    axis = bottom_axis(scale, 4, bottom, "drop in multiples of the limit; shaded: more than allowed", "{:g}x".format)
    return picture(key, title, "; ".join(told(judgement, row) for row in rows), bottom + 32, beyond, axis,
                   line(scale.at(1), 4, scale.at(1), bottom, dashed=True), *drawn)  # fmt: skip


def told(judgement: Judgement, row: Multiple) -> str:
    """A gate in words and numbers, as `slmsec compare` prints them."""
    _, base, candidate, _, drop, bounds, limit, verdict = cells(judgement, row.judged)
    found = f"{_name(row.judged)}: {base} to {candidate}, drop {drop}"
    return f"{found}{f' ({bounds})' if bounds else ''}, limit {limit}, {verdict}"


def _name(judged: Judged) -> str:
    return f"{judged.benchmark} {judged.what}".strip()


def _row(judgement: Judgement, row: Multiple, scale: Scale, y: float) -> Markup:
    verdict = judgement.verdicts[row.judged.result.gate]
    colour = COLOURS[verdict]
    low = scale.start if row.lower is None else scale.at(row.lower)
    high = scale.end if row.upper is None else scale.at(row.upper)
    said = cells(judgement, row.judged)[-1]
    told_verdict = f"{SIGNS[verdict]} {said}" if said != "?" else "? undecided"
    dot = tag("circle", tag("title", told(judgement, row)), cx=scale.at(row.estimate), cy=y, r="4", fill=colour)
    whisker = () if row.lower is None and row.upper is None else (line(low, y, high, y, colour, 2.0),)
    return join(words(NAMES - 8, y + 4, cut(_name(row.judged), 30), "end"), *whisker, dot,
                words(scale.end + 8, y + 4, told_verdict))  # fmt: skip
