"""The next window, asked in a thread of its own while pytest reports the last one."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.collection.windows import Window, following
from pytest_slmsec.execution.batch_runner import Measured

if TYPE_CHECKING:
    from pytest_slmsec.execution.runner import Progress

Result = TypeVar("Result")
LOOK_EVERY_S = 0.1
NOT_AHEAD = ("replay", "server")
"""Sources of models that are not asked ahead: recorded answers are there already, and a request that is on its way to a
server cannot be taken back."""

AT_LEAST_S = 0.01
"""What an item must take. Reporting holds Python's lock for about 0.3 ms an item, and an engine that works in Python
was seen to lose two thirds of that: it would count as time of the model, beyond 2 % where an item takes less."""


class Stopped(SystemExit):
    """Raised in the thread where nobody waits for its result any more."""


class Ahead(Generic[Result]):
    """One piece of work that goes on beside the main thread.

    Args:
        work: is told whom to tell how many more items are done, after each batch.

    Attributes:
        done: items so far.
    """

    def __init__(self, work: Callable[[Callable[[int], None]], Result]) -> None:
        self.done = 0
        self._work = work
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._unwanted = False
        self._thread = threading.Thread(target=self._run, name="slmsec-ahead", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._work(self._advance)
        except BaseException as error:  # whoever asks for the result gets it
            self._error = error

    def _advance(self, done: int) -> None:
        self.done += done
        if self._unwanted:
            raise Stopped

    def ended(self) -> bool:
        """Whether the work is over; waits a moment where it is not."""
        self._thread.join(LOOK_EVERY_S)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """What the work gave, once it is over; what it raised is raised here."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def stop(self) -> None:
        """End the work as Ctrl-C ends it in the main thread: the batch that runs is lost, those before are journaled.

        By https://docs.python.org/3/c-api/threads.html#c.PyThreadState_SetAsyncExc: the exception is raised between two
        steps of Python, so that this waits for one operation of torch, and not for an answer of a thousand tokens.
        """
        self._unwanted = True
        ident = ctypes.c_ulong(self._thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(Stopped))
        self._thread.join()


class Prefetch:
    """Asks at most one window ahead of what is reported.

    Args:
        ask: answers cases in the order given, and tells after each batch how many more are done.
    """

    def __init__(
        self, ask: Callable[[Sequence[Case], Callable[[int], None]], list[Measured]], progress: Progress
    ) -> None:
        self._ask, self._progress = ask, progress
        self._following: Mapping[Window[Case], Window[Case]] = {}
        self._current: tuple[Sequence[Case], Ahead[list[Measured]]] | None = None

    def adopt(self, windows: Iterable[Window[Case]]) -> None:
        """Learn which window follows which."""
        self._following = following(windows)

    def start(self, window: Window[Case] | None, last: Measured, known: Mapping[Case, Measured]) -> None:
        """Ask the window that follows on `window`, unless one is asked already.

        It has the same key: the same benchmark and model, with no look of the gate between them; so it is certain to be
        asked for, and its model is loaded. Windows whose answers other models are asked about are not asked ahead.

        Args:
            last: what `window` gave for an item. known: what has been answered and not yet reported.
        """
        if self._current is not None or window is None or (after := self._following.get(window)) is None:
            return
        group = after.cases[0].group
        if group.roles or group.model.source in NOT_AHEAD or not _takes_long(last):
            return
        if any(case in known for case in after.cases):
            return
        self._current = after.cases, Ahead(lambda advance: self._ask(after.cases, advance))

    def join(self, case: Case) -> dict[Case, Measured]:
        """What was asked ahead, which is waited for, since nothing else can be asked meanwhile.

        What went wrong is raised where `case` is one of its cases; else it comes again when those ask.
        """
        if self._current is None:
            return {}
        cases, ahead = self._current
        self._show_until_it_ends(cases, ahead)
        self._current = None
        try:
            return dict(zip(cases, ahead.result(), strict=True))
        except Exception:
            if case in cases:
                raise
            return {}

    def _show_until_it_ends(self, cases: Sequence[Case], ahead: Ahead[list[Measured]]) -> None:
        """The thread writes nothing itself: while pytest goes on, the terminal and its capture are in use."""
        self._progress.start(cases[0].group.what, len(cases))
        shown = 0
        try:
            while not ahead.ended():
                done = ahead.done
                self._progress.advance(done - shown)
                shown = done
        finally:
            self._progress.stop()

    def stop(self) -> None:
        """Nobody asks any more: what is being asked is ended."""
        if self._current is not None:
            self._current[1].stop()
            self._current = None


def _takes_long(one: Measured) -> bool:
    """Whether an item takes long enough that the time of those after it may be measured while pytest reports."""
    seconds = one.batch.timing["seconds"] if one.batch is not None else None
    return one.batch is not None and seconds is not None and seconds >= AT_LEAST_S * one.batch.timing["items"]
