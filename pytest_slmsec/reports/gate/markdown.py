"""The verdicts of a comparison as Markdown, for the summary page of a CI job."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from pytest_slmsec.core.wrap import counted, shown
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.gate.text import HEADINGS, cells, heading, mark, notes, sentences
from pytest_slmsec.reports.tables import cost_lines

MOST_BYTES = 2**20
"""Of the summary of one step: GitHub refuses a larger one whole (docs.github.com, "Workflow commands", step isolation
and limits)."""
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+|!~-])")


def escaped(text: str) -> str:
    """Text in which no character is markup, on one line."""
    return _MARKUP.sub(r"\\\1", html.escape(shown(text), quote=False))


def markdown(judgements: Sequence[Judgement], results: Sequence[EvaluationResult], room: int = MOST_BYTES) -> str:
    """A section for each candidate: verdict, table, sentences; and what each model costs.

    Args:
        room: bytes that all of it may take; sections that are longer are cut, with a sentence that says so.
    """
    costs = _costs(results)
    return within("\n".join(map(_section, judgements)), room - len(costs.encode("utf-8"))) + costs


def within(text: str, room: int) -> str:
    """As many lines of a text as `room` bytes hold, and below them how many are missing, where any are."""
    lines = text.splitlines(keepends=True)
    if len(text.encode("utf-8")) <= room:
        return text
    kept, left = 0, room - len(_cut(len(lines)))
    while left >= len(lines[kept].encode("utf-8")):
        left -= len(lines[kept].encode("utf-8"))
        kept += 1
    return "".join(lines[:kept]) + _cut(len(lines) - kept)


def _cut(lines: int) -> str:
    return (f"\nCut here, for GitHub shows no summary above 1 MiB: {counted(lines, 'line')} left out. `-v` shows every "
            "gate in the log, `--slmsec-json=FILE` writes every number.\n")  # fmt: skip


def _costs(results: Sequence[EvaluationResult]) -> str:
    """The cost table of the terminal, a line a model; nothing where nothing was measured."""
    headings, rows = cost_lines(results)
    if not rows:
        return ""
    table = [
        [" ".join(name.split()) for name in headings],
        ["---"] * len(headings),
        *(map(escaped, row) for row in rows),
    ]
    return "\n".join(["", "## What each model costs", "", *map(_row, table), ""])


def _section(judgement: Judgement) -> str:
    lines = [f"## Gate: {judgement.verdict.value}", ""]
    lines += [f"{escaped(line)}  " for line in heading(judgement)]
    lines += [
        "",
        _row(["benchmark", *HEADINGS]),
        _row(["---"] * (len(HEADINGS) + 1)),
    ]
    for judged in judgement.gates:
        name = judged.benchmark + mark(judgement, judged) if judged.benchmark else "the whole model"
        lines.append(_row([escaped(name), *(escaped(cell.strip()) for cell in cells(judgement, judged))]))
    lines += ["", *(f"{escaped(note)}  " for note in notes(judgement.gates)), ""]
    return "\n".join([*lines, *(f"* {escaped(text)}" for text in sentences(judgement)), ""])


def _row(row: Iterable[str]) -> str:
    return f"| {' | '.join(row)} |"
