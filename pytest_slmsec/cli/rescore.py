"""``slmsec rescore RUN``: a stored run scored again with today's scorers, and what that changes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from pytest_slmsec.cli.recorded_runs import NAME_DATA, evaluation_of, recorded_answers, tasks_of
from pytest_slmsec.core.errors import CompareError, SlmsecError
from pytest_slmsec.core.items import Item, Score
from pytest_slmsec.core.wrap import columns, for_stderr, shown, wrapped
from pytest_slmsec.gates.records.saved_runs import stored_path
from pytest_slmsec.gating.score_check import rebuilt
from pytest_slmsec.replay.base import Recorded, Recording
from pytest_slmsec.replay.registry import CHOOSE, read_recordings
from pytest_slmsec.scoring.base import Metric, Mode
from pytest_slmsec.tasks.base import Task

UNCHANGED, CHANGED, ERROR = 0, 1, 3
FIRST = 5
HEAD = 60
HEADINGS = ("benchmark", "answers", "changed", "score")


@dataclass(frozen=True, slots=True)
class Change:
    """An answer whose score differs from the stored one."""

    item: str
    old: Score
    new: Score
    text: str | None


@dataclass(frozen=True, slots=True)
class Rescored:
    """The stored answers of one model to one benchmark, scored again.

    Attributes:
        benchmark, model, scorer: names; the scorer with mode and version.
        metric, mode: how scores become one number.
        scores: the new scores, without recorded errors. n_errors: answers that were recorded as errors.
        old: the stored scores of the same answers; None where none are stored.
        changes: answers with other scores than those stored.
    """

    benchmark: str
    model: str
    scorer: str
    metric: Metric
    mode: Mode
    scores: tuple[Score, ...]
    n_errors: int
    old: tuple[Score, ...] | None
    changes: tuple[Change, ...]

    def value(self, scores: Sequence[Score] | None) -> float | None:
        """The headline number of scores."""
        return self.metric.aggregate(scores, self.mode).value if scores else None


def rescore(run: str, root: Path, data: str | None = None, json_file: Path | None = None, verbose: bool = False) -> int:
    """Score a stored run again, print what changed, and write the changes to a file on request.

    Args:
        run: a file or folder of recorded answers, or the number of a run in the storage; ``RUN::MODEL``: one model.
        root: folder in which relative paths start, and whose storage counts.
        verbose: show the first changed answers of each benchmark below the table.

    Returns:
        Exit status: 0 every stored score was reproduced, 1 some were not, 3 the run cannot be scored (with a sentence).
    """
    try:
        found = rescored(run, root, data or os.environ.get("SLMSEC_DATA") or None)
        print("\n".join(summary(found, columns())))
        if verbose:
            print("\n".join(["", *(line for one in found for line in report(one, columns()))]))
        if json_file is not None:
            _write(json_file, found)
    except SlmsecError as error:
        print(for_stderr(f"slmsec: error: {error}"), file=sys.stderr)
        return ERROR
    return CHANGED if any(one.changes for one in found) else UNCHANGED


def rescored(run: str, root: Path, data: str | None) -> list[Rescored]:
    """Every model and benchmark of a run, scored with today's scorers.

    Raises:
        CompareError, ReplayError, DataError: the run or its items cannot be read. UsageError: an unknown benchmark.
    """
    name, _, model = run.rpartition(CHOOSE) if CHOOSE in run else (run, "", "")
    path = root / Path(name).expanduser()
    path = path if path.exists() else stored_path(name, root)
    recordings = read_recordings(path, model or None, several=True)
    return [_rescored(recording, task, data) for recording in recordings for task in tasks_of(recording)]


def _rescored(recording: Recording, task: Task, data: str | None) -> Rescored:
    mode = Mode(recording.mode or Mode.STRICT.value)
    try:
        pairs = _scored(recording, task, mode, data)
    except KeyError as error:  # a scorer that looks up more than the gold answer
        raise CompareError(
            f"{recording.path}: answers to {task.name} are scored with the published items: {NAME_DATA}."
        ) from error
    old = [(answer, answer.score, new) for answer, new in pairs if answer.score is not None]
    changes = [Change(answer.item or answer.where, score, new, answer.output.text) for answer, score, new in old
               if _seen(score) != _seen(new)]  # fmt: skip
    judged = task.unjudged is None or any(answer.output.replies for answer, _ in pairs)
    return Rescored(
        recording.label or task.name,
        recording.model or recording.path.name,
        f"{task.name}/{mode.value}/{task.version}",
        task.metric if judged or task.unjudged is None else task.unjudged,
        mode,
        tuple(new for _, new in pairs),
        sum(answer.output.error is not None for answer in recording.answers),
        tuple(score for _, score, _ in old) or None,
        tuple(changes),
    )


def _scored(recording: Recording, task: Task, mode: Mode, data: str | None) -> list[tuple[Recorded, Score]]:
    """Every recorded answer with its new score. The items come from the data set, or from the recording itself."""
    if recording.source == "fixture" or data is not None or any(answer.gold is None for answer in recording.answers):
        evaluation = evaluation_of(recording, task, data, mode)
        known = evaluation.replayed.answers if evaluation.replayed is not None else {}
        return [(known[answer.item.id], answer.score) for _, answer in recorded_answers(evaluation)
                if answer.score is not None and answer.item.id in known]  # fmt: skip
    sound = [answer for answer in recording.answers if answer.output.error is None]
    return [(answer, task.scorer(_rebuilt(answer), task.as_scored(answer.output, mode), mode)) for answer in sound]


def _rebuilt(answer: Recorded) -> Item:
    options = answer.output.choice_logprobs or answer.output.choice_scores
    return rebuilt(answer.item or answer.where, answer.gold or "", options, answer.prompt or "")


def _seen(score: Score) -> tuple[Any, ...]:
    return score.value, score.parsed, score.correct, score.extracted


def summary(found: Sequence[Rescored], width: int) -> list[str]:
    """One line for each benchmark below the name of its model, and a closing sentence on all of them."""
    rows: dict[str, list[tuple[str, ...]]] = {}
    for one in found:
        rows.setdefault(one.model, []).append(_row(one))
    widths = [max(map(len, cells)) for cells in zip(HEADINGS, *chain(*rows.values()), strict=True)]
    lines = [_columns(HEADINGS, widths)]
    for model, those in rows.items():
        lines += [shown(model), *(_columns(row, widths) for row in those)]
    return [*lines, "", *wrapped(_in_all(found), width)]


def _row(one: Rescored) -> tuple[str, ...]:
    changed = "-" if one.old is None else f"{len(one.changes):,}"
    return f"  {shown(one.benchmark)}", f"{len(one.scores):,}", changed, _moved(one)


def _columns(row: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers, score = row
    cells = [cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=False)]
    return "  ".join([name.ljust(widths[0]), *cells, score])


def _in_all(found: Sequence[Rescored]) -> str:
    stored, new = sum(len(one.old or ()) for one in found), sum(len(one.scores) for one in found if one.old is None)
    changed = sum(len(one.changes) for one in found)
    said = []
    if changed:
        said.append(f"{changed:,} of {stored:,} scores changed; -v shows the first of each benchmark, --json FILE all.")
    elif stored:
        said.append(f"All {stored:,} stored scores were found again.")
    if new:
        said.append(f"{new:,} answers have no stored score to compare with.")
    if failed := sum(one.n_errors for one in found):
        said.append(f"{failed:,} recorded errors have no score.")
    return " ".join(said) or "There are no answers to score."


def _moved(one: Rescored) -> str:
    """The headline number, as ``old -> new`` where it changed."""
    today, before = _number(one, one.value(one.scores)), _number(one, one.value(one.old))
    return f"{one.metric.name} {today if one.old is None or before == today else f'{before} -> {today}'}"


def report(found: Rescored, width: int) -> list[str]:
    """One benchmark in full: the scorer, counts, the headline number, and the first changed answers."""
    n, old = len(found.scores), found.old
    name = f"{found.benchmark} on {found.model}: {n} answers scored by {found.scorer}"
    failed = f"; {found.n_errors} recorded errors have no score" if found.n_errors else ""
    if old is None:
        return wrapped(shown(f"{name}: {_moved(found)}; no score is stored to compare with{failed}."), width)
    head = wrapped(shown(f"{name}: {len(found.changes)} of {len(old)} changed; {_moved(found)}{failed}."), width)
    more = len(found.changes) - FIRST
    rest = [f"  ... and {more} more; --json FILE lists all."] if more > 0 else []
    return head + [_line(change, width) for change in found.changes[:FIRST]] + rest


def _line(change: Change, width: int) -> str:
    old, new = (f"{score.value:g} {shown(score.extracted)[:HEAD] if score.parsed else '(unparsed)'}"
                for score in (change.old, change.new))  # fmt: skip
    text = "" if change.text is None else f"  {change.text[:HEAD]!a}"
    return f"  {shown(change.item)}  {old} -> {new}{text}"[: max(width, len(change.item) + 20)]


def _number(found: Rescored, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if found.metric.scale == 1 else f"{value:.2f}"


def _write(path: Path, found: Sequence[Rescored]) -> None:
    content = {
        "format": 1,
        "rescored": [
            {
                "benchmark": one.benchmark, "model": one.model, "scorer": one.scorer, "metric": one.metric.name,
                "n": len(one.scores), "n_errors": one.n_errors, "value": one.value(one.scores),
                "stored_value": one.value(one.old), "n_changed": len(one.changes),
                "changes": [{"item": change.item, "old": _plain(change.old), "new": _plain(change.new),
                             "text": change.text} for change in one.changes],
            }
            for one in found
        ],
    }  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", "ascii")
    except OSError as error:
        raise CompareError(f"{path} cannot be written: {error.strerror or error}.") from error


def _plain(score: Score) -> dict[str, Any]:
    return {**asdict(score), "parts": dict(score.parts)}
