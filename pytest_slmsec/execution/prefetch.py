"""The next window, asked in a thread of its own while pytest reports the last one."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.collection.windows import Window, following
from pytest_slmsec.execution.batch_runner import MeasuredOutput
from pytest_slmsec.execution.progress import Progress

Result = TypeVar("Result")
POLL_S = 0.1
NOT_PREFETCHED = ("replay", "server")
"""Sources of models whose windows are never prefetched. Recorded answers are there already. A request that is on its
way to a server cannot be cancelled."""

MIN_SECONDS_PER_ITEM = 0.01
"""Faster models are not prefetched. Reporting holds Python's lock for about 0.3 ms an item, and up to two thirds of
that was seen to count as time of the model: more than 2 % where an item takes less than 10 ms."""


class Stopped(SystemExit):
    """Raised in the thread to end it, when its result is no longer needed."""


class BackgroundTask(Generic[Result]):
    """One piece of work in a thread of its own.

    Args:
        work: a function of `on_progress`, which it calls after each batch with the number of items just done.

    Attributes:
        done: items done so far.
    """

    def __init__(self, work: Callable[[Callable[[int], None]], Result]) -> None:
        self.done = 0
        self._work = work
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="slmsec-prefetch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work(self._on_progress)
        except BaseException as error:  # raised again by result()
            self._error = error

    def _on_progress(self, done: int) -> None:
        self.done += done
        if self._stopping:
            raise Stopped

    def ended(self) -> bool:
        """Whether the work is over. Waits up to `POLL_S` seconds for it."""
        self._thread.join(POLL_S)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Wait for the work and return its result. An exception of the work is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def stop(self) -> None:
        """End the work as Ctrl-C would: the running batch is lost, earlier batches are in the journal.

        `PyThreadState_SetAsyncExc` raises `Stopped` between two bytecodes of the thread, so this waits for one torch
        operation and not for a whole answer
        (https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc).
        """
        self._stopping = True
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Stopped))
        self._thread.join()


class Prefetch:
    """Answers the next window in a background thread while pytest reports the last one; never more than one.

    Args:
        ask: answers cases in the given order, and calls its second argument after each batch with the number of
            further answers.
    """

    def __init__(
        self, ask: Callable[[Sequence[Case], Callable[[int], None]], list[MeasuredOutput]], progress: Progress
    ) -> None:
        self._ask, self._progress = ask, progress
        self._following: Mapping[Window[Case], Window[Case]] = {}
        self._current: tuple[Sequence[Case], BackgroundTask[list[MeasuredOutput]]] | None = None

    def adopt(self, windows: Iterable[Window[Case]]) -> None:
        """Take the planned windows of the run."""
        self._following = following(windows)

    def start(self, window: Window[Case] | None, last: MeasuredOutput, known: Mapping[Case, MeasuredOutput]) -> None:
        """Start on the window that follows `window`, unless one is being answered already.

        The next window has the same benchmark and model, and no interim look of the gate comes between them. So its
        cases are certain to run, and its model is loaded. Benchmarks that other models grade are not prefetched.

        Args:
            last: the answer to an item of `window`. known: answers that have not been reported yet.
        """
        if self._current is not None or window is None:
            return
        after = self._following.get(window)
        if after is None:
            return
        evaluation = after.cases[0].evaluation
        if evaluation.roles or evaluation.model.source in NOT_PREFETCHED or not _takes_long(last):
            return
        if any(case in known for case in after.cases):
            return
        self._current = after.cases, BackgroundTask(lambda advance: self._ask(after.cases, advance))

    def join(self, case: Case) -> dict[Case, MeasuredOutput]:
        """Wait for the window in the background and return its answers; empty without one.

        An error of that window is raised if `case` belongs to it. Otherwise it is dropped: the window is asked again
        when its own cases run, and the error is raised then.
        """
        if self._current is None:
            return {}
        cases, task = self._current
        self._show_until_it_ends(cases, task)
        self._current = None
        try:
            return dict(zip(cases, task.result(), strict=True))
        except Exception:
            if case in cases:
                raise
            return {}

    def _show_until_it_ends(self, cases: Sequence[Case], task: BackgroundTask[list[MeasuredOutput]]) -> None:
        """Show progress from the main thread, since pytest may be using the terminal and its capture meanwhile."""
        self._progress.start(cases[0].evaluation.what, len(cases))
        shown = 0
        try:
            while not task.ended():
                done = task.done
                self._progress.advance(done - shown)
                shown = done
        finally:
            self._progress.stop()

    def stop(self) -> None:
        """End the window in the background; its answers are not needed any more."""
        if self._current is not None:
            self._current[1].stop()
            self._current = None


def _takes_long(one: MeasuredOutput) -> bool:
    """Whether an item takes long enough for the next ones to be timed while pytest reports."""
    if one.batch is None:
        return False
    timing = one.batch.timing
    return timing["seconds"] is not None and timing["seconds"] >= MIN_SECONDS_PER_ITEM * timing["items"]
