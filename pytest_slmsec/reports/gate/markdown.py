"""The verdicts of a comparison as Markdown, for the summary page of a CI job."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

from pytest_slmsec.core.wrap import shown
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.reports.gate.text import HEADINGS, cells, heading, mark, notes, sentences

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+|!~-])")


def escaped(text: str) -> str:
    """Text in which no character is markup, on one line."""
    return _MARKUP.sub(r"\\\1", html.escape(shown(text), quote=False))


def markdown(judgements: Sequence[Judgement]) -> str:
    """A section for each candidate: verdict, table, sentences."""
    return "\n".join(_section(judgement) for judgement in judgements)


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


def _row(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"
