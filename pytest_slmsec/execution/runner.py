"""Answers for the cases of one process: windows executed on demand.

Nothing is loaded, opened or read before the first case asks for its answer. That case runs its whole window, so the
other cases of the window find their answers ready.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

from pytest_slmsec.collection.cases import Case, Evaluation
from pytest_slmsec.collection.windows import Window, cut
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import EngineError, Unfit
from pytest_slmsec.core.items import Answer, Output, Request
from pytest_slmsec.core.journal import Journal, StoredBatch
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.shard import ShardFacts
from pytest_slmsec.engines.common.base import Engine, EngineInfo, unable
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.batch_runner import MeasuredOutput, ask
from pytest_slmsec.execution.dispatch import Dispatch, PooledEngine
from pytest_slmsec.execution.journal_files import open_journal
from pytest_slmsec.execution.merge import MODEL, SHARD, SHARD_END, UNFIT, Merged, model_facts
from pytest_slmsec.execution.model_grading import follow_up
from pytest_slmsec.execution.model_loader import Guard, ModelLoader, Resident
from pytest_slmsec.execution.pool import Pool
from pytest_slmsec.execution.prefetch import NOT_PREFETCHED, Prefetch
from pytest_slmsec.execution.progress import Progress

LOOK_EVERY_S = 0.1
"""How often, while pytest reports, a pool is looked at for answers, and its replicas are handed more work."""
AfterWindow = Callable[[Evaluation, Resident, Sequence[Request]], None]


class Run:
    """Executes windows on demand and keeps the answers until they are reported.

    Args:
        make_engine: loads a model; raises `ModelError`.
        without_timeout: a context in which the timeout of the running test does not count; entered while models are
            loaded and asked.
        guard: a context of loading and of each batch, see `model_loader.Guard`.
        after_window: called when a window has been answered, with the model and the requests whose answers are valid.
    """

    def __init__(
        self,
        settings: Settings,
        make_engine: Callable[[ModelSpec], Engine],
        progress: Progress,
        without_timeout: Callable[[], AbstractContextManager[None]] = nullcontext,
        guard: Guard = nullcontext,
        after_window: AfterWindow | None = None,
    ) -> None:
        self.settings = settings
        self._progress = progress
        self._without_timeout = without_timeout
        self._windows: Mapping[Case, Window[Case]] = {}
        self._segment: Callable[[Case], Hashable] = _one_segment
        self._measured: dict[Case, MeasuredOutput] = {}
        self._answers: dict[Case, Answer] = {}
        self._models = ModelLoader(make_engine, progress, guard)
        self._after_window = after_window
        self._unfit: dict[Evaluation, Unfit] = {}
        self._journal: Journal | None = None
        self._shard: ShardFacts | None = None
        self._merged: Merged | None = None
        self._dispatch: Dispatch | None = None
        self._looked = 0.0
        self._noted: set[str] = set()
        self._prefetch = Prefetch(self._run_window, progress)

    def adopt(self, cases: Iterable[Case], segment: Callable[[Case], Hashable] | None = None) -> None:
        """Plan the finally selected cases, in their order of execution.

        Args:
            segment: the part of the run that a case belongs to. No window holds cases of two segments, since the gate
                may end a benchmark between them, or another process may run the next one. None: there is one segment.
        """
        segment = segment or _one_segment
        self._segment = segment
        keyed = (((case.evaluation, case.evaluation.model, segment(case)), case) for case in cases)
        self._windows = cut(keyed, self.settings.window)
        if self.settings.prefetch:
            self._prefetch.adopt(self._windows.values())

    def is_shard(self, facts: ShardFacts) -> None:
        """Write down, with the answers, which part of a run this is and what each model was."""
        self._shard = facts

    def end_shard(self) -> None:
        """Write down that this part of the run was measured to its end.

        Raises:
            JournalError: it cannot be stored.
        """
        if self._shard is not None:
            self._open_journal().note(SHARD_END, self._shard.plain())

    def merge(self, merged: Merged) -> None:
        """Take all answers from the journals of shards."""
        self._merged = merged

    def use_pool(self, pool: Pool, settings_of: Callable[[ModelSpec], EngineSettings], plan_all: bool) -> Dispatch:
        """Have replicas answer the windows of all models that the `Dispatch` loads.

        Args:
            settings_of: how a model is loaded.
            plan_all: all models of the planned cases are loaded that way, so that their windows may be handed out
                before a case asks for its answer.
        """
        dispatch = Dispatch(pool, settings_of, self._open_journal, self._progress.say)
        self._dispatch = dispatch
        if plan_all:
            windows = list(dict.fromkeys(self._windows.values()))
            dispatch.plan((w.cases[0].evaluation.model, partial(_requests_of, w.cases)) for w in windows
                          if w.cases[0].evaluation.model.source not in NOT_PREFETCHED)  # fmt: skip
        return dispatch

    def answer(self, case: Case) -> Answer:
        """The answer of a case; runs its window if nobody has.

        Raises:
            ModelError: the model cannot be loaded; `ModelNotLoaded` after the first time.
            Unfit: the model cannot do what the benchmark asks for.
            DataUnavailable, DataError: the items cannot be read. JournalError: answers cannot be stored.
        """
        if (unfit := self._unfit.get(case.evaluation)) is not None:
            raise unfit
        if case not in self._measured:
            with self._without_timeout():
                self._measure_window_of(case)
        if self._dispatch is None:
            self._prefetch.start(self._windows.get(case), self._measured[case], self._measured)
        elif time.monotonic() - self._looked > LOOK_EVERY_S:
            self._dispatch.look()
            self._looked = time.monotonic()
        if case not in self._answers:
            self._answers[case] = _scored(case, self._measured[case])
        return self._answers[case]

    def take(self, case: Case) -> tuple[Answer, StoredBatch | None] | None:
        """Remove and return the answer of a case with its batch, to be reported; None if it was never measured."""
        measured, answer = self._measured.pop(case, None), self._answers.pop(case, None)
        return None if measured is None or answer is None else (answer, measured.batch)

    @property
    def n_stored(self) -> int:
        """Number of answers in the open journal; 0 before the first question."""
        return 0 if self._journal is None else len(self._journal)

    def is_reused(self, batch: StoredBatch | None) -> bool:
        """Whether a batch was measured by an earlier run."""
        return batch is not None and self._journal is not None and self._journal.is_earlier(batch)

    def info(self, model: ModelSpec) -> EngineInfo | None:
        """Facts about a model, once it has been loaded."""
        return self._models.info(model)

    def unfit(self, evaluation: Evaluation) -> Unfit | None:
        """Why a model was not asked a benchmark, or None."""
        return self._unfit.get(evaluation)

    def close(self) -> None:
        """Free the engine and close the journal. A prefetched window that no case asked for is abandoned."""
        self._prefetch.stop()
        if self._dispatch is not None:
            self._dispatch.close()
            self._dispatch = None
        self._models.unload()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _measure_window_of(self, case: Case) -> None:
        """Wait for the prefetched window of a case, or ask the window now."""
        self._measured |= self._prefetch.join(case)
        if case not in self._measured:
            self._answer_all([c for c in self._remaining_window(case) if c not in self._measured])

    def _remaining_window(self, case: Case) -> Sequence[Case]:
        """The cases that are answered together with `case`: the rest of its window.

        Where other models grade the answers, it is the rest of the benchmark up to the gate's next interim look, so
        that each grading model is loaded once. Cases before `case` are left out: they were reported or skipped, or ran
        in a worker that crashed.
        """
        window = self._windows.get(case)
        if window is None:
            return [case]
        cases = window.cases
        if case.evaluation.roles:
            segment, mine = self._segment, case.evaluation
            cases = [c for c in self._windows if c.evaluation is mine and segment(c) == segment(case)]
        return cases[cases.index(case) :]

    def _answer_all(self, cases: Sequence[Case]) -> None:
        """Answer cases of one evaluation, and have other models grade the answers where the benchmark needs it."""
        evaluation = cases[0].evaluation
        self._models.refuse_broken([evaluation.model, *evaluation.roles.values()])
        self._refuse_unfit(evaluation, cases[0])
        size = self.settings.window
        found = [one for start in range(0, len(cases), size) for one in self._run_window(cases[start : start + size])]
        if evaluation.roles:
            items = [case.item for case in cases]
            outputs = follow_up(evaluation, items, [one.output for one in found], self._ask_about)
            found = [replace(one, output=output) for one, output in zip(found, outputs, strict=True)]
            for model in evaluation.roles.values():
                if self._models.info(model) is None:
                    self._load(model)  # nothing was asked of it, but the record says who would have judged
        self._measured.update(zip(cases, found, strict=True))

    def _run_window(self, cases: Sequence[Case], advance: Callable[[int], None] | None = None) -> list[MeasuredOutput]:
        """Answer one window.

        Args:
            advance: called with the number of further answers after each batch; None: the terminal shows them.
        """
        evaluation = cases[0].evaluation
        resident = self._load(evaluation.model)
        requests = [evaluation.request(case.item) for case in cases]
        if advance is not None:
            found = ask(resident, requests, self._open_journal(), advance)
        else:
            found = self._ask(resident, requests, evaluation.what)
        if self._after_window is not None:
            sound = [request for request, one in zip(requests, found, strict=True) if one.output.error is None]
            self._after_window(evaluation, resident, sound)
        fault = evaluation.task.fault
        faults = [fault(case.item, one.output) if fault else None for case, one in zip(cases, found, strict=True)]
        return [
            one if why is None or one.output.error else replace(one, output=replace(one.output, error=why))
            for one, why in zip(found, faults, strict=True)
        ]

    def _ask_about(self, evaluation: Evaluation, role: str, requests: Sequence[Request]) -> list[Output]:
        """Ask the model with a role; the questions come from `execution.model_grading`."""
        resident = self._load(evaluation.roles[role])
        if (why := unable(resident.engine, requests[0])) is not None:
            return [Output(error=why)] * len(requests)
        what = f"{role} {resident.spec.name} on {evaluation.model.name} {evaluation.label}"
        return self._ask_in_windows(resident, requests, what)

    def ask(self, model: ModelSpec, requests: Sequence[Request], what: str) -> list[Output]:
        """Ask any model; another one that is loaded is closed first. Answers are journaled like all others.

        Args:
            what: for the line of progress.

        Raises:
            ModelError: it cannot be loaded. EngineError: it cannot do what is asked. JournalError: answers cannot be
                stored.
        """
        resident = self._models.load(model)
        why = unable(resident.engine, requests[0])
        if why is not None:
            raise EngineError(f"{model.name}: {why}")
        return self._ask_in_windows(resident, requests, what)

    def _ask_in_windows(self, resident: Resident, requests: Sequence[Request], what: str) -> list[Output]:
        size = self.settings.window
        windows = [requests[start : start + size] for start in range(0, len(requests), size)]
        return [one.output for window in windows for one in self._ask(resident, window, what)]

    def _ask(self, resident: Resident, requests: Sequence[Request], what: str) -> list[MeasuredOutput]:
        journal = self._open_journal()
        self._progress.start(what, len(requests))
        try:
            if self._dispatch is not None and isinstance(resident.engine, PooledEngine):
                return self._dispatch.ask(resident.spec, requests, self._progress.advance)
            return ask(resident, requests, journal, self._progress.advance)
        finally:
            self._progress.stop()

    def _refuse_unfit(self, evaluation: Evaluation, case: Case) -> None:
        """Raise `Unfit` where the loaded model cannot do what the benchmark asks for."""
        engine = self._load(evaluation.model).engine
        model, label = evaluation.model.name, evaluation.label
        if self._merged is not None:
            why = self._merged.unfit.get((model, label))
        else:
            why = unable(engine, evaluation.request(case.item))
        if why is None:
            return
        if self._shard is not None:
            self._open_journal().note(UNFIT, {"model": model, "benchmark": label, "why": why})
        self._unfit[evaluation] = unfit = Unfit(model, label, why)
        raise unfit

    def _load(self, model: ModelSpec) -> Resident:
        """Load a model. The journal of a shard says what it was."""
        resident = self._models.load(model)
        if self._shard is not None and resident.identity not in self._noted:
            self._open_journal().note(MODEL, model_facts(model.name, resident.engine))
            self._noted.add(resident.identity)
        return resident

    def _open_journal(self) -> Journal:
        if self._journal is None and self._merged is not None:
            self._journal = self._merged.journal
        elif self._journal is None:
            self._journal = open_journal(self.settings.journal, self.settings.resume, self._progress.say)
            if self._shard is not None:
                self._journal.note(SHARD, self._shard.plain())
        return self._journal


def _requests_of(cases: Sequence[Case]) -> list[Request]:
    return [case.evaluation.request(case.item) for case in cases]


def _one_segment(case: Case) -> Hashable:
    return 0


def _scored(case: Case, measured: MeasuredOutput) -> Answer:
    evaluation, item, output, batch = case.evaluation, case.item, measured.output, measured.batch
    if batch is None or output.error is not None:
        return Answer(item, evaluation.model.name, output, None)
    score = evaluation.task.scorer(item, evaluation.task.as_scored(output, evaluation.mode), evaluation.mode)
    return Answer(item, evaluation.model.name, output, score, _seconds(output, batch))


def _seconds(output: Output, batch: StoredBatch) -> float | None:
    """Seconds of one answer: as recorded, else its equal share of the batch."""
    spent: float | None = batch.timing["seconds"]
    return output.seconds if output.seconds is not None or spent is None else spent / batch.timing["items"]
