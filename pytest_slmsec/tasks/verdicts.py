"""Recorded verdicts on pairs of answers: JSON lines `{model_a, model_b, win[, item, answer_a, answer_b]}`, `win` being
``model_a``, ``model_b`` or ``tie``. HackMentor (Zhang et al. 2023, repository `tmylla/HackMentor`, `eval/ChatArena`)
publishes its 6505 verdicts in this form."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from pathlib import Path

from pytest_slmsec.gates.statistics.bradley_terry import FIRST, POINTS, SECOND, Verdict
from pytest_slmsec.gates.statistics.judge_habits import Judged
from pytest_slmsec.tasks.records import Record, read_json_lines
from pytest_slmsec.tasks.tsv import shown

REMEDY = "correct or remove the line"


def read_verdicts(path: Path, models: Sequence[str] = ()) -> list[Verdict]:
    """The verdicts of a file, in its order. Without a field `item` each is an item of its own.

    Args:
        models: names that may occur; empty: any.

    Raises:
        DataUnavailable, DataError: see `tasks.records`; also for an unknown model or verdict, the same model in both
            places, and an empty answer.
    """
    return [_verdict(row, models) for row in read_json_lines(path)]


def read_judged(path: Path) -> list[Judged]:
    """The verdicts of a judge: rows as above that also hold `item`, `judge`, `answer_a` and `answer_b`, and may hold
    `cluster` and `raw` (what the judge said).

    Raises:
        DataUnavailable, DataError: as `read_verdicts`; also for a missing field.
    """
    return [_judged(row) for row in read_json_lines(path)]


def _judged(row: Record) -> Judged:
    plain = _verdict(row, ())
    answers = row.text("answer_a"), row.text("answer_b")
    digests = _sha256(answers[0]), _sha256(answers[1])
    item, raw = row.text("item"), row.value.get("raw", row.text("win"))
    cluster, (first, second) = row.value.get("cluster", item), answers
    return Judged(item, str(cluster), row.text("judge"), plain.first, plain.second, plain.points, *digests,
                  len(first), len(second), str(raw))  # fmt: skip


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _verdict(row: Record, models: Sequence[str]) -> Verdict:
    first, second, win = (row.text(key) for key in (FIRST, SECOND, "win"))
    for key, name in ((FIRST, first), (SECOND, second)):
        if models and name not in models:
            near = difflib.get_close_matches(name, models, 1)
            hint = f"did you mean {near[0]}" if near else f"known: {', '.join(models)}"
            row.bad(f"{shown(name)} is no model of --models ({hint})", key, remedy=REMEDY)
    if first == second:
        row.bad(f"{shown(first)} stands in both places, where the result is always 1/2", SECOND, remedy=REMEDY)
    if win not in POINTS:
        row.bad(f"{shown(win)} is none of {', '.join(POINTS)}", "win", remedy=REMEDY)
    for key in ("answer_a", "answer_b"):
        if key in row.value and not row.text(key, empty=True).strip():
            row.bad("the answer is empty, so the verdict compares nothing", key, remedy=REMEDY)
    item = row.value.get("item", f"line {row.number}")
    return Verdict(first, second, POINTS[win], str(item))
