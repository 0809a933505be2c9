"""Marked test functions parametrised over models and items."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from pytest_slmsec.collection.cases import Case, Evaluation, LeftOut, NoItems
from pytest_slmsec.collection.ids import model_id, safe_id
from pytest_slmsec.config.options import RULE
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.choices import MARKER
from pytest_slmsec.core.errors import DataError, DataUnavailable, MissingExtraError, ModelUnavailable, Unfit, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import NO_TEXT, Capability
from pytest_slmsec.engines.registry import CAPABILITIES
from pytest_slmsec.perturb.benchmark import perturbed, robust_label, robust_task
from pytest_slmsec.perturb.variants import wanted_by
from pytest_slmsec.replay.match import match, part_label, recording_of
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.qa_file import NAME as QA
from pytest_slmsec.tasks.qa_file import task_of_file
from pytest_slmsec.tasks.registry import find_task, tasks
from pytest_slmsec.tasks.sources import find

TakesWhole = Callable[[ModelSpec, str, int], bool]
"""Of model, label and number of items: whether a benchmark is taken whole although a sample is wanted, since the gate
may ask for the rest of its items."""
NAMED = "lm-eval"
"""The benchmark name that stands for the tasks named with ``--slmsec-lm-eval``."""
NO_DATA = "no-data"
NO_TASK = "no further task of lm-evaluation-harness is asked for: name one with --slmsec-lm-eval=TASK"
NO_MODEL = "no --model given: try `--model=tinysec`, or `slmsec list` for the known names"


def tasks_of(marker: pytest.Mark, where: str, settings: Settings) -> list[Task]:
    """The benchmark that a marker names; for `NAMED`, those of ``--slmsec-lm-eval``.

    Raises:
        UsageError: the marker does not have exactly one name or Task, or there is no such task.
        MissingExtraError: lm-eval is not installed.
    """
    if marker.kwargs:
        raise UsageError(f"{where}: the marker slmsec takes no {sorted(marker.kwargs)[0]!r}; write slmsec('cti-mcq').")
    if len(marker.args) != 1 or not isinstance(marker.args[0], (str, Task)):
        raise UsageError(f"{where}: the marker slmsec takes one benchmark: a name such as 'cti-mcq', or a Task.")
    (benchmark,) = marker.args
    if benchmark == QA and settings.qa is not None:
        return [task_of_file(settings.qa, settings.qa_columns)]
    if benchmark != NAMED:
        return [benchmark if isinstance(benchmark, Task) else find_task(benchmark)]
    if not settings.lm_eval:
        return []
    from pytest_slmsec.tasks.harness.named import named_tasks

    named = [task for name in settings.lm_eval for task in named_tasks(name)]
    return list(dict.fromkeys(task for task in named if task.name not in tasks()))


def make_evaluation(
    task: Task, model: ModelSpec, settings: Settings, takes_whole: TakesWhole | None = None
) -> Evaluation:
    """One benchmark on one model, with its items.

    Args:
        takes_whole: says which benchmarks are taken whole although ``--slmsec-limit`` asks for a sample; None: none is.

    Raises:
        DataUnavailable, DataError: the items cannot be read (see `tasks.sources`), or recorded answers are missing or
            damaged.
        ModelUnavailable: a judge is needed and none is named. MissingExtraError: a package of its scorer is missing.
    """
    task.check_installed()
    roles = _roles(task, settings)
    recording = recording_of(model, task.name) if model.source == "replay" else None
    ours = recording is not None and recording.source == "fixture"
    dataset = find(task, "fixture" if ours else settings.data, model.embedded)
    replayed = match(recording, task.name, dataset) if recording is not None else None
    known = range(len(dataset.ids)) if replayed is None else replayed.positions
    label = dataset.label if replayed is None else part_label(dataset, replayed)
    limit, positions, chat = settings.limit, tuple(known), settings.chat and task.chat
    answered = settings.stop_when_answered and bool(task.answered)
    judged_by = f"~{RULE}" if task.followups is not None and not roles else ""
    suffix = judged_by + "~chat" * chat + "~answered" * answered + "~official" * (settings.mode is Mode.OFFICIAL)
    whole = takes_whole is not None and takes_whole(model, label + suffix, len(known))
    if limit is not None and limit.n < len(known) and not whole:
        positions = tuple(known[place] for place in limit.positions(len(known)))
        label += f"@{limit.label}"
    evaluation = Evaluation(model, task, dataset, positions, label + suffix, settings.mode, settings.max_new_tokens,
                            roles, chat, replayed, answered)  # fmt: skip
    if dataset.kind != "hub" and task.count is None:
        _ = evaluation.known  # recorded answers to other items are refused before anything runs
    return evaluation


def _roles(task: Task, settings: Settings) -> Mapping[str, ModelSpec]:
    if task.followups is None:
        return {}
    if not settings.roles and task.unjudged is None:
        raise ModelUnavailable(f"{task.name}: its answers are judged by a model; name one with --slmsec-judge=MODEL.")
    return {role: settings.roles[role] for role in task.followups.roles} if settings.roles else {}


def make_robust(task: Task, model: ModelSpec, settings: Settings) -> Evaluation:
    """The variants of one benchmark's items (``--slmsec-perturb``) on one model; those of a sample for a sample, and of
    recorded answers those that were asked then.

    Raises:
        DataUnavailable: no item has a variant of these kinds, or none was recorded. Others: see `make_evaluation`.
    """
    if model.source == "replay":
        return _replayed_variants(task, model, settings)
    clean = make_evaluation(task, model, settings)
    dataset = perturbed(clean.dataset, settings.perturb, clean.positions)
    label = robust_label(clean.label, task.name)
    return replace(clean, task=dataset.task, dataset=dataset, positions=tuple(range(len(dataset.ids))), label=label)


def _replayed_variants(task: Task, model: ModelSpec, settings: Settings) -> Evaluation:
    recording = recording_of(model, robust_task(task).name)
    clean = find(task, "fixture" if recording.source == "fixture" else settings.data, model.embedded)
    wanted = wanted_by(answer.item for answer in recording.answers if answer.item is not None)
    dataset = perturbed(clean, wanted or settings.perturb, range(len(clean.ids)))
    replayed = match(recording, dataset.task.name, dataset)
    label, roles = part_label(dataset, replayed), _roles(task, settings)
    evaluation = Evaluation(model, dataset.task, dataset, replayed.positions, label, settings.mode,
                            settings.max_new_tokens, roles, replayed=replayed)  # fmt: skip
    _ = evaluation.known  # recorded answers to other items are refused before anything runs
    return evaluation


def cases_of(evaluation: Evaluation) -> list[Case]:
    """The cases of an evaluation. Only ids are read; no model and no hub data set is loaded."""
    ids, prefix = evaluation.dataset.ids, model_id(evaluation.model)
    return [
        Case(evaluation, row, f"{prefix}-{safe_id(ids[position])}") for row, position in enumerate(evaluation.positions)
    ]


def parametrize(metafunc: pytest.Metafunc, settings: Settings, takes_whole: TakesWhole | None = None) -> None:
    """Parametrise one marked test function over models and items; without either it becomes one skip with a reason.

    Args:
        takes_whole: see `make_evaluation`.

    Raises:
        pytest.Collector.CollectError: a damaged data file or marker, in one sentence.
    """
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None:
        return
    where = metafunc.definition.nodeid
    try:
        if "answer" not in metafunc.fixturenames:
            raise UsageError(f"{where} is marked slmsec but does not take the fixture `answer`; add it as an argument.")
        named = tasks_of(marker, where, settings)
        chosen = [task for task in named if settings.asks(task.name)]
        cases = [
            case for model in settings.models for task in chosen for case in _cases(task, model, settings, takes_whole)
        ]
    except (UsageError, DataError) as error:
        raise pytest.Collector.CollectError(str(error)) from None
    except MissingExtraError as error:
        named, chosen, cases = [], [], [_skip(str(error), "no-package")]
    if settings.models and settings.benchmarks and not chosen and not cases:
        left_out = LeftOut(tuple(task.name for task in named))
        metafunc.parametrize("answer", [left_out], ids=["left-out"], indirect=True)
        return
    if not cases:
        cases = [_skip(NO_MODEL, "no-model") if chosen or not settings.models else _skip(NO_TASK, "no-task")]
    ids = [case.id for case in cases]  # a list of ids costs a third of a pytest.param a case
    metafunc.parametrize("answer", cases, ids=ids, indirect=True)


def _cases(task: Task, model: ModelSpec, settings: Settings, takes_whole: TakesWhole | None) -> list[Any]:
    if not task.by_choice and Capability.GENERATE not in CAPABILITIES.get(model.engine, Capability.GENERATE):
        unfit = Unfit(model.name, task.name, NO_TEXT)
        return [_skip(str(unfit), f"{model_id(model)}-no-text", unfit)]
    try:
        cases = cases_of(make_evaluation(task, model, settings, takes_whole))
        return [*cases, *_variants(task, model, settings)] if settings.perturb else cases
    except DataUnavailable as error:
        return [_skip(str(error), f"{model_id(model)}-{NO_DATA}", NoItems(task.name, str(error)))]
    except ModelUnavailable as error:
        return [_skip(str(error), f"{model_id(model)}-no-judge")]
    except MissingExtraError as error:
        return [_skip(str(error), f"{model_id(model)}-no-package")]


def _variants(task: Task, model: ModelSpec, settings: Settings) -> list[Any]:
    """The cases of the variants of a benchmark, or one skip that says why it has none."""
    try:
        return cases_of(make_robust(task, model, settings))
    except DataUnavailable as error:
        return [_skip(str(error), f"{model_id(model)}-{safe_id(task.name)}-no-variants")]


def _skip(reason: str, name: str, stands_for: Unfit | NoItems | None = None) -> Any:
    return pytest.param(stands_for, marks=pytest.mark.skip(reason=reason), id=name)
