"""State of one run: the resident engine, the windows executed, the answers handed to cases.

Lazy: nothing is loaded, opened or read before the first case asks for its answer. The case that asks first runs its
whole window; the others of the window find their answers ready.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pytest_slmsec.collection.cases import Case, Group
from pytest_slmsec.collection.windows import Window, cut
from pytest_slmsec.config.options import Settings
from pytest_slmsec.core.errors import ModelError, SlmsecError, Unfit
from pytest_slmsec.core.identity import model_key
from pytest_slmsec.core.items import Answer, Output, Request
from pytest_slmsec.core.journal import Journal, StoredBatch
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.engines.common.base import Engine, EngineInfo, unable
from pytest_slmsec.execution.batch_runner import Measured, Resident, ask, sentence
from pytest_slmsec.execution.model_grading import follow_up
from pytest_slmsec.execution.prefetch import Prefetch
from pytest_slmsec.meters.session import Meters, RemoteMeters


class Progress(Protocol):
    """Shows that long work goes on."""

    def say(self, text: str) -> None:
        """One line about what starts now."""

    def start(self, what: str, total: int) -> None:
        """A window of `total` items begins."""

    def advance(self, done: int) -> None:
        """`done` more items are answered."""

    def stop(self) -> None:
        """The window has ended, in whatever way."""


def worker_journal(path: Path, worker: str) -> Path:
    """The journal of an xdist worker, beside that of the main process: ``journal.gw0.jsonl``."""
    return path.with_name(f"{path.stem}.{worker}{path.suffix}")


def journals_beside(path: Path) -> list[Path]:
    """The journals of the main process and of all workers that lie where `path` does."""
    stem = re.sub(r"\.gw\d+$", "", path.stem)
    main = path.with_name(stem + path.suffix)
    return [*([main] if main.exists() else []), *sorted(path.parent.glob(f"{stem}.gw*{path.suffix}"))]


class ModelNotLoaded(ModelError):
    """The model could not be loaded, as an earlier case has already reported in full."""


class Run:
    """Executes windows on demand and keeps the answers until they are reported.

    Args:
        make_engine: loads a model; raises `ModelError`.
    """

    def __init__(self, settings: Settings, make_engine: Callable[[ModelSpec], Engine], progress: Progress) -> None:
        self.settings = settings
        self._make_engine = make_engine
        self._progress = progress
        self._windows: Mapping[Case, Window[Case]] = {}
        self._segment: Callable[[Case], Hashable] = lambda case: 0
        self._measured: dict[Case, Measured] = {}
        self._answers: dict[Case, Answer] = {}
        self._resident: Resident | None = None
        self._infos: dict[ModelSpec, EngineInfo] = {}
        self._broken: dict[ModelSpec, str] = {}
        self._unfit: dict[Group, Unfit] = {}
        self._journal: Journal | None = None
        self._prefetch = Prefetch(self._run_window, progress)

    def adopt(self, cases: Iterable[Case], segment: Callable[[Case], Hashable] = lambda case: 0) -> None:
        """Plan the finally selected cases, in their order of execution.

        Args:
            segment: no window reaches from one into another, since the gate may end a benchmark between them, or
                another process may run the next one.
        """
        self._segment = segment
        keyed = (((case.group, case.group.model, segment(case)), case) for case in cases)
        self._windows = cut(keyed, self.settings.window)
        if self.settings.prefetch:
            self._prefetch.adopt(self._windows.values())

    def answer(self, case: Case) -> Answer:
        """The answer of a case; runs its window if nobody has.

        Raises:
            ModelError: the model cannot be loaded; `ModelNotLoaded` after the first time.
            Unfit: the model cannot do what the benchmark asks for.
            DataUnavailable, DataError: the items cannot be read. JournalError: answers cannot be stored.
        """
        if (unfit := self._unfit.get(case.group)) is not None:
            raise unfit
        if case not in self._measured:
            self._measured |= self._prefetch.join(case)
        if case not in self._measured:
            self._answer_all([c for c in self._with(case) if c not in self._measured])
        self._prefetch.start(self._windows.get(case), self._measured[case], self._measured)
        if case not in self._answers:
            self._answers[case] = _scored(case, self._measured[case])
        return self._answers[case]

    def take(self, case: Case) -> tuple[Answer, StoredBatch | None] | None:
        """The answer of a case and its batch, given away to be reported; None where it was never measured."""
        measured, answer = self._measured.pop(case, None), self._answers.pop(case, None)
        return None if measured is None or answer is None else (answer, measured.batch)

    @property
    def n_stored(self) -> int:
        """Answers in the open journal; 0 where nothing was asked yet."""
        return 0 if self._journal is None else len(self._journal)

    def is_reused(self, batch: StoredBatch | None) -> bool:
        """Whether a batch was measured by an earlier run, and comes from its journal."""
        return batch is not None and self._journal is not None and self._journal.is_earlier(batch)

    def info(self, model: ModelSpec) -> EngineInfo | None:
        """Facts about a model, once it has been loaded."""
        return self._infos.get(model)

    def unfit(self, group: Group) -> Unfit | None:
        """Why a model was not asked a benchmark, or None."""
        return self._unfit.get(group)

    def close(self) -> None:
        """Free the engine and close the journal. What nobody asked for is not waited for."""
        self._prefetch.stop()
        self._unload()
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _with(self, case: Case) -> Sequence[Case]:
        """The cases that are answered together with `case`: its window; where other models are asked about the answers,
        all of its group up to the next look, so that each of them is loaded once. Those before it have been reported,
        or asked for nothing; or a worker that crashed has run them."""
        window = self._windows.get(case)
        if window is None:
            return [case]
        cases = window.cases
        if case.group.roles:
            cases = [c for c in self._windows if c.group is case.group and self._segment(c) == self._segment(case)]
        return cases[cases.index(case) :]

    def _answer_all(self, cases: Sequence[Case]) -> None:
        """Answer cases of one group, and have the answers judged where the benchmark asks for it."""
        group = cases[0].group
        self._refuse_broken([group.model, *group.roles.values()])
        self._refuse_unfit(group, cases[0])
        size = self.settings.window
        found = [one for start in range(0, len(cases), size) for one in self._run_window(cases[start : start + size])]
        if group.roles:
            items = [case.item for case in cases]
            outputs = follow_up(group, items, [one.output for one in found], self._ask_about)
            found = [replace(one, output=output) for one, output in zip(found, outputs, strict=True)]
            for model in group.roles.values():
                if model not in self._infos:
                    self._load(model)  # nothing was asked of it, but the record says who would have judged
        self._measured.update(zip(cases, found, strict=True))

    def _run_window(self, cases: Sequence[Case], advance: Callable[[int], None] | None = None) -> list[Measured]:
        """Ask a window.

        Args:
            advance: told how many more are answered, instead of the terminal.
        """
        group = cases[0].group
        resident = self._load(group.model)
        requests = [group.request(case.item) for case in cases]
        if advance is not None:
            found = ask(resident, requests, self._open_journal(), advance)
        else:
            found = self._ask(resident, requests, group.what)
        fault = group.task.fault
        faults = [fault(case.item, one.output) if fault else None for case, one in zip(cases, found, strict=True)]
        return [
            one if why is None or one.output.error else replace(one, output=replace(one.output, error=why))
            for one, why in zip(found, faults, strict=True)
        ]

    def _ask_about(self, group: Group, role: str, requests: Sequence[Request]) -> list[Output]:
        """Ask the model that has a role; `pytest_slmsec.execution.model_grading` says what."""
        resident = self._load(group.roles[role])
        if (why := unable(resident.engine, requests[0])) is not None:
            return [Output(error=why)] * len(requests)
        size, what = self.settings.window, f"{role} {resident.spec.name} on {group.model.name} {group.label}"
        windows = [requests[start : start + size] for start in range(0, len(requests), size)]
        return [one.output for window in windows for one in self._ask(resident, window, what)]

    def _ask(self, resident: Resident, requests: Sequence[Request], what: str) -> list[Measured]:
        journal = self._open_journal()
        self._progress.start(what, len(requests))
        try:
            return ask(resident, requests, journal, self._progress.advance)
        finally:
            self._progress.stop()

    def _refuse_broken(self, models: Iterable[ModelSpec]) -> None:
        for model in models:
            if model in self._broken:
                raise ModelNotLoaded(f"{model.name} could not be loaded: {self._broken[model]}")

    def _refuse_unfit(self, group: Group, case: Case) -> None:
        """What a model can do is known for certain once it is loaded."""
        why = unable(self._load(group.model).engine, group.request(case.item))
        if why is not None:
            self._unfit[group] = unfit = Unfit(group.model.name, group.label, why)
            raise unfit

    def _load(self, model: ModelSpec) -> Resident:
        """The loaded model; the one before is closed first, so that one is in memory at a time."""
        if self._resident is not None and self._resident.spec == model:
            return self._resident
        self._refuse_broken([model])
        self._unload()
        self._progress.say(f"loading {model.name}")
        meters = RemoteMeters() if model.source == "server" else Meters.start()
        try:
            engine = self._make_engine(model)
        except Exception as error:
            meters.stop()
            self._broken[model] = why = sentence(model.name, error)
            if isinstance(error, SlmsecError):
                raise
            raise ModelError(why) from error
        self._infos[model] = engine.info
        self._resident = Resident(model, engine, model_key(_identity(engine.info)), meters)
        return self._resident

    def _unload(self) -> None:
        if self._resident is not None:
            self._resident.close()
            self._resident = None

    def _open_journal(self) -> Journal:
        if self._journal is None:
            path = self.settings.journal
            if self.settings.resume:
                self._journal = Journal.resume(path, [p for p in journals_beside(path) if p != path])
                self._progress.say(f"resuming with {counted(len(self._journal), 'answer')} of {path}")
            else:
                self._journal = Journal.start(path)
            if damaged := self._journal.damaged_lines:
                self._progress.say(f"{damaged} damaged or foreign lines of the journal are not used")
        return self._journal


def _scored(case: Case, measured: Measured) -> Answer:
    group, item, output, batch = case.group, case.item, measured.output, measured.batch
    if batch is None or output.error is not None:
        return Answer(item, group.model.name, output, None)
    score = group.task.scorer(item, group.task.as_scored(output, group.mode), group.mode)
    return Answer(item, group.model.name, output, score, _seconds(output, batch))


def _seconds(output: Output, batch: StoredBatch) -> float | None:
    """The time of one answer: its own, where a recorded run knows it, else its share of its batch."""
    spent: float | None = batch.timing["seconds"]
    return output.seconds if output.seconds is not None or spent is None else spent / batch.timing["items"]


def _identity(info: EngineInfo) -> dict[str, str]:
    parts = ("engine", "kernel", "device", "dtype", "weights_sha256", "tokenizer_sha256", "template_sha256")
    way = {part: str(info.extra[part]) for part in ("path", "linears", "fragile") if part in info.extra}
    return {part: str(getattr(info, part)) for part in parts} | way
