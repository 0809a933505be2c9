"""Since when? The score of each model over its runs, with the limit of its gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pytest_slmsec.gates.policy.suite import Kind
from pytest_slmsec.reports.page.axes import Scale, around, colour, cut, frame, framed, line, mark, picture, words
from pytest_slmsec.reports.page.markup import Markup, fold, join, paragraph, section, table, tag
from pytest_slmsec.reports.page.numbers import interval_text, score_text
from pytest_slmsec.reports.page.records import Record, Report
from pytest_slmsec.reports.page.rows import score_row

COLUMNS, WIDE, HIGH, ROW, PAGE = 2, 250.0, 90.0, 135.0, 12
ONE_RUN = "Each model has one run here. Name several runs of a model to see how its scores moved."


class Course(NamedTuple):
    """One model on one benchmark over its runs, oldest first.

    `limit`: the worst score that the gate allows today, in the unit of the metric; None: it was not judged.
    """

    benchmark: str
    model: str
    points: tuple[tuple[Record, Mapping[str, Any]], ...]
    limit: float | None


def courses(report: Report) -> list[Course]:
    """Every model and benchmark that has several runs with a score."""
    found: dict[tuple[str, str], list[tuple[Record, Mapping[str, Any]]]] = {}
    for record in report.records:
        for run in record.runs:
            row = score_row(run)
            if row["score"] is not None:
                found.setdefault((run.benchmark, run.model), []).append((record, row))
    limits = _limits(report)
    return [Course(*key, tuple(points), limits.get(key)) for key, points in found.items() if len(points) > 1]


def _limits(report: Report) -> dict[tuple[str, str], float]:
    """The score of the base less the margin (for a deviation: plus), where the main gate of a benchmark has both."""
    found = {}
    for judgement in report.judgements:
        directions = {pair.base.benchmark: bool(pair.base.facts["higher_is_better"]) for pair in judgement.pairs}
        for judged in judgement.gates:
            known = judged.member.kind is Kind.SCORE and judged.member.primary and judged.base is not None
            if known and judged.what in _headline(judgement, judged.benchmark):
                sign = -1 if directions[judged.benchmark] else 1
                found[judged.benchmark, judgement.candidate] = float(judged.base or 0) + sign * judged.result.margin
    return found


def _headline(judgement: Any, benchmark: str) -> set[str]:
    """The metric that the score of a benchmark is in; a gate may judge another one."""
    return {str(pair.base.facts["metric"]) for pair in judgement.pairs if pair.base.benchmark == benchmark}


def history_section(report: Report) -> Markup:
    """A small picture for each model and benchmark, and a table."""
    found = courses(report)
    if not found:
        return section("history", "Since when?", paragraph(ONE_RUN))
    drawn = [history(report, found[start : start + PAGE], f"history-{start}") for start in range(0, len(found), PAGE)]
    cells = [
        (
            one.benchmark,
            one.model,
            record.date[:16].replace("T", " ") or "-",
            record.commit or "-",
            score_text(row["score"], row),
            interval_text(row),
        )
        for one in found
        for record, row in one.points
    ]
    headings = ("benchmark", "model", "date", "commit", "score", "95 % interval")
    as_table = fold("History as a table", table(headings, cells, "Scores over runs"))
    return section("history", "Since when?", framed(*drawn), as_table)


def history(report: Report, found: Sequence[Course], key: str = "history") -> Markup:
    """The scores over runs; shaded: what the gate does not allow."""
    panels = [_panel(report, one, 60 + (n % COLUMNS) * (WIDE + 70), 24 + (n // COLUMNS) * ROW)
              for n, one in enumerate(found)]  # fmt: skip
    told = "; ".join(_told(one) for one in found)
    title = "Scores over runs, oldest first; shaded: worse than the gate allows"
    return picture(key, title, told, 20 + ROW * -(-len(found) // COLUMNS), *panels)


def _told(one: Course) -> str:
    points = ", ".join(_point_told(record, row) for record, row in one.points)
    limit = "" if one.limit is None else f"; limit {score_text(one.limit, one.points[-1][1])}"
    return f"{one.benchmark}, {one.model}: {points}{limit}"


def _point_told(record: Record, row: Mapping[str, Any]) -> str:
    return (
        f"{record.date[:16].replace('T', ' ')} {record.commit} {score_text(row['score'], row)} ({interval_text(row)})"
    )


def _panel(report: Report, one: Course, x: float, y: float) -> Markup:
    rows = [row for _, row in one.points]
    ends = [row[key] for row in rows for key in ("score", "score_low", "score_high") if row[key] is not None]
    up = around([*ends, *([one.limit] if one.limit is not None else [])], y + HIGH, y, least=0.01)
    across = Scale(0, len(rows) - 1, x + 14, x + WIDE - 14)
    ticks = [words(x - 5, up.at(value) + 4, score_text(value, rows[0]), "end") for value in up.ticks(3)]
    box = frame(x, y, WIDE, HIGH)
    points = [_point(report, one, n, across.at(n), up) for n in range(len(rows))]
    return join(_band(one, x, y, up), box, *ticks, words(x, y - 6, cut(f"{one.benchmark}, {one.model}", 40), bold=True),
                *points)  # fmt: skip


def _band(one: Course, x: float, y: float, up: Scale) -> Markup | None:
    if one.limit is None:
        return None
    edge = up.at(one.limit)
    top, bottom = (edge, y + HIGH) if one.points[0][1]["higher_is_better"] else (y, edge)
    return tag("rect", x=x, y=top, width=WIDE, height=max(bottom - top, 0.0), fill="#d1403a", fill_opacity="0.13")


def _point(report: Report, one: Course, n: int, x: float, up: Scale) -> Markup:
    record, row = one.points[n]
    number = report.number(one.model)
    interval = None
    if row["score_low"] is not None and row["score_high"] is not None:
        interval = line(x, up.at(row["score_low"]), x, up.at(row["score_high"]), colour(number), 2.0)
    return join(interval, mark(number, x, up.at(row["score"]), _point_told(record, row)))
