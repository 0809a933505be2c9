"""A discrete-event simulation of sessions on workers that fail: how long a campaign takes, and where the time goes.

A worker takes the next session, starts it (process, collection, model), and computes its windows one after the other.
A failure loses the window in flight; the rest of the session goes to the first free worker, which starts it again,
because every window before is in the journal. Times between failures are exponential: the past of a worker does not
matter.
Without failures this is list scheduling (Graham, Bell System Technical Journal 45:1563, 1966).
"""

from __future__ import annotations

import heapq
import math
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

from pytest_slmsec.core.errors import UsageError

LONGEST_TRY = 5.0
"""Most times between failures that a start and a window may take together: a try succeeds in one of e^5 cases then."""


@dataclass(frozen=True, slots=True)
class Work:
    """One session. Times in seconds.

    Attributes:
        start_s: until its first window is begun: process, collection, loading the model.
        window_ends_s: when each window ends, counted from the start of the first.
    """

    start_s: float
    window_ends_s: tuple[float, ...]

    @classmethod
    def of(cls, start_s: float, windows_s: Sequence[float]) -> Work:
        """A session with windows of these lengths."""
        return cls(start_s, tuple(accumulate(windows_s)))

    @property
    def windows_s(self) -> list[float]:
        """The length of each window."""
        return [end - begin for begin, end in pairwise((0.0, *self.window_ends_s))]

    @property
    def computing_s(self) -> float:
        """All its windows."""
        return self.window_ends_s[-1] if self.window_ends_s else 0.0


@dataclass(frozen=True, slots=True)
class Failures:
    """How workers fail: seconds between two failures of one worker, and from a failure until it works again."""

    every_s: float
    repair_s: float


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a simulation found. Times in seconds; of all but `makespan_s` the sum over all workers.

    Attributes:
        makespan_s: from the beginning until the last session has ended. workers: how many there were.
        computing_s: windows that were kept. starting_s: starts that ended. lost_s: starts and windows cut by failures.
        starts, failures: how many.
    """

    makespan_s: float
    workers: int
    computing_s: float
    starting_s: float
    lost_s: float
    starts: int
    failures: int

    @property
    def ideal_s(self) -> float:
        """The makespan without starts and failures, evenly divided."""
        return self.computing_s / self.workers

    @property
    def share_of_ideal(self) -> float:
        """`ideal_s` as a share of the makespan; 1 where there is nothing to do."""
        return self.ideal_s / self.makespan_s if self.makespan_s else 1.0

    @property
    def idle_s(self) -> float:
        """Workers that wait for repair, or have nothing left to do."""
        return max(0.0, self.makespan_s * self.workers - self.computing_s - self.starting_s - self.lost_s)


def simulate(sessions: Sequence[Work], workers: int, failures: Failures | None = None, seed: int = 0) -> Simulated:
    """Run sessions in their order on workers.

    Args:
        failures: None: workers do not fail. seed: of the times between failures; the same seed gives the same result.

    Raises:
        UsageError: a start and a window take so long that hardly any try comes between two failures.
    """
    if failures is not None:
        check_ends(sessions, failures)
    run = _Run(deque((work, 0) for work in sessions), list(range(workers)), failures, random.Random(seed))
    return run.all()


class _Run:
    """The state of one simulation.

    Args:
        waiting: sessions and how many of their windows are done. free: workers.
    """

    def __init__(self, waiting: deque[tuple[Work, int]], free: list[int], failures: Failures | None,
                 draw: random.Random) -> None:  # fmt: skip
        self._waiting, self._free, self._failures, self._draw = waiting, free, failures, draw
        self._workers = len(free)
        self._events: list[tuple[float, int, tuple[Work, int] | None, bool]] = []
        self._computing_s = self._starting_s = self._lost_s = self._end_s = 0.0
        self._starts = self._n_failures = 0

    def all(self) -> Simulated:
        """Run to the end."""
        self._hand_out(0.0)
        while self._events and (self._waiting or any(not repaired for *_, repaired in self._events)):
            now, worker, rest, repaired = heapq.heappop(self._events)
            if rest is not None:
                assert self._failures is not None
                self._waiting.appendleft(rest)
                heapq.heappush(self._events, (now + self._failures.repair_s, worker, None, True))
            else:
                self._end_s = self._end_s if repaired else now
                heapq.heappush(self._free, worker)
            self._hand_out(now)
        return Simulated(self._end_s, self._workers, self._computing_s, self._starting_s, self._lost_s, self._starts,
                         self._n_failures)  # fmt: skip

    def _hand_out(self, now: float) -> None:
        while self._waiting and self._free:
            self._begin(now, heapq.heappop(self._free), *self._waiting.popleft())

    def _begin(self, now: float, worker: int, work: Work, done: int) -> None:
        """Note when a worker will have ended a session, or fails in it."""
        before_s = work.window_ends_s[done - 1] if done else 0.0
        needed_s = work.start_s + work.computing_s - before_s
        lives_s = self._draw.expovariate(1 / self._failures.every_s) if self._failures else math.inf
        if lives_s >= needed_s:
            self._count(work.start_s, work.computing_s - before_s)
            heapq.heappush(self._events, (now + needed_s, worker, None, False))
            return
        self._n_failures += 1
        computed_s = lives_s - work.start_s
        if computed_s < 0:
            self._lost_s += lives_s
            reached = done
        else:
            reached = bisect_right(work.window_ends_s, before_s + computed_s)
            kept_s = (work.window_ends_s[reached - 1] if reached else 0.0) - before_s
            self._count(work.start_s, kept_s)
            self._lost_s += max(0.0, computed_s - kept_s)
        heapq.heappush(self._events, (now + lives_s, worker, (work, reached), False))

    def _count(self, started_s: float, computed_s: float) -> None:
        self._starts += 1
        self._starting_s += started_s
        self._computing_s += computed_s


def check_ends(sessions: Sequence[Work], failures: Failures, before_s: float = 0.0) -> None:
    """Refuse work of which hardly any would ever end; see `simulate`. `before_s`: to be added to each start."""
    longest_s = before_s + max((_longest_try_s(work) for work in set(sessions)), default=0.0)
    if longest_s > LONGEST_TRY * failures.every_s:
        raise UsageError(
            f"A start and a window take {longest_s:,.0f} s together, and a worker fails every {failures.every_s:,.0f} "
            "s: hardly any window would ever end; make windows smaller."
        )


@cache
def _longest_try_s(work: Work) -> float:
    return work.start_s + max(work.windows_s, default=0.0)


def windows(items: int, window: int, item_s: float) -> list[float]:
    """The lengths of the windows of one benchmark, in seconds."""
    whole, rest = divmod(items, window)
    return [window * item_s] * whole + ([rest * item_s] if rest else [])
