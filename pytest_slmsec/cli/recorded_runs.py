"""Recorded answers scored without a pytest run, for `slmsec compare`, `rescore` and `sentinels`."""

from __future__ import annotations

from pathlib import Path

from pytest_slmsec.collection.cases import Case, Evaluation
from pytest_slmsec.collection.parametrize import cases_of, make_evaluation, make_robust
from pytest_slmsec.config.settings import Settings, engine_settings
from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.items import Answer
from pytest_slmsec.core.models import REPLAY_PREFIX, ModelSpec
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.perturb.benchmark import SUFFIX, robust_task
from pytest_slmsec.replay.base import Recording, some
from pytest_slmsec.replay.engine import load
from pytest_slmsec.replay.registry import read_recordings
from pytest_slmsec.reports import payload
from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.reports.gate.live_runs import live_run
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.registry import find_task, tasks

NAME_DATA = "name the folder of the published files with --data=DIR or the variable SLMSEC_DATA"


def read_recorded(path: Path, data: str | None, member: str | None = None) -> list[BenchmarkRun]:
    """The runs of a file or folder of recorded answers, scored strictly with today's scorers.

    Args:
        data: folder of the published files. member: which of several models.

    Raises:
        CompareError, ReplayError: the answers cannot be compared. DataError: the published file is damaged.
    """
    recordings = read_recordings(path, member)
    return [_run(recording, task, data) for recording in recordings for task in tasks_of(recording)]


def tasks_of(recording: Recording) -> list[Task]:
    """The benchmarks whose answers a recording holds.

    Raises:
        UsageError: there is no such benchmark.
    """
    name = recording.benchmark
    if name.endswith(SUFFIX):
        return [robust_task(find_task(name.removesuffix(SUFFIX)))]
    return [task for task in tasks().values() if recording.covers(task.name)] or [find_task(name)]


def evaluation_of(recording: Recording, task: Task, data: str | None, mode: Mode) -> Evaluation:
    """The evaluation that recorded answers stand for.

    Raises:
        CompareError: the items are not known here. ReplayError: the answers belong to other items.
    """
    if recording.source != "fixture" and data in (None, "hub", "fixture"):
        raise CompareError(f"{recording.path}: its answers are scored with the published items: {NAME_DATA}.")
    name = recording.model or f"{REPLAY_PREFIX}{recording.path.name}"
    spec = ModelSpec(name, name, source="replay", location=str(recording.path), member=recording.model, engine="replay")
    settings = Settings(
        models=(spec,), data=data, mode=mode, limit=None, max_new_tokens=None, stop_when_answered=False, window=1,
        engine=engine_settings(None, None), journal=Path(), resume=False, transcript=None, wrong="pass",
    )  # fmt: skip
    if task.name.endswith(SUFFIX):
        return make_robust(find_task(task.name.removesuffix(SUFFIX)), spec, settings)
    return make_evaluation(task, spec, settings)


def recorded_answers(evaluation: Evaluation) -> list[tuple[Case, Answer]]:
    """Every recorded answer of an evaluation with its score."""
    found = []
    for case in cases_of(evaluation):
        output = evaluation.replayed.request(case.item).output if evaluation.replayed else None
        assert output is not None
        score = None if output.error else evaluation.task.scorer(
            case.item, evaluation.task.as_scored(output, evaluation.mode), evaluation.mode)  # fmt: skip
        found.append((case, Answer(case.item, evaluation.model.name, output, score, output.seconds)))
    return found


def _run(recording: Recording, task: Task, data: str | None) -> BenchmarkRun:
    evaluation = evaluation_of(recording, task, data, Mode.STRICT)
    answers = recorded_answers(evaluation)
    _check_complete(recording, evaluation, answers)
    info = load(Path(evaluation.model.location), evaluation.model, engine_settings(None, None)).info
    results = EvaluationResults()
    header = payload.plain(payload.header(evaluation, lambda model: info, recording.path.name))
    for case, answer in answers:
        results.add({"row": payload.row(case, answer), "header": header}, evaluation.metric)
    (collected,) = results
    return live_run(collected, {}, str(recording.path))


def _check_complete(recording: Recording, evaluation: Evaluation, answers: list[tuple[Case, Answer]]) -> None:
    """Refuse an incomplete recording: only whole benchmarks are compared."""
    assert evaluation.replayed is not None
    if missing := evaluation.replayed.missing(evaluation.items):
        raise CompareError(f"{recording.path}: {len(missing)} items are missing ({some(missing)}); a part is never "
                           "compared: record the run again.")  # fmt: skip
    if failed := [answer for _, answer in answers if answer.error]:
        names = some([answer.item.id for answer in failed])
        raise CompareError(f"{recording.path}: {len(failed)} of {len(answers)} answers are errors and no answers "
                           f"({names}; {failed[0].error}); record the run again.")  # fmt: skip
