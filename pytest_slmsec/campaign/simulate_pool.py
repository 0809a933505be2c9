"""The same simulation for a pool of replicas that are handed single windows, where `simulate` hands out whole sessions.

A replica stays with the model that it has loaded while windows of it are left; then it takes a model that nobody has
loaded; at last it helps the model with the most time left a replica, if that saves more than loading it takes. These
are the rules of `execution.dispatch`. A failure loses the window in flight, which goes back to the others of its model,
and a new replica is started.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque
from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from pytest_slmsec.campaign.simulate import Failures, Simulated, Work, check_ends


class _Kind(IntEnum):
    DONE, FAILED, REPAIRED = range(3)


class _Event(NamedTuple):
    """What happens to a replica. `window_s`: the window that it computed; `start_s`: the start before it, or 0."""

    at_s: float
    replica: int
    kind: _Kind
    model: int = -1
    window_s: float = 0.0
    start_s: float = 0.0
    lives_s: float = 0.0


def simulate_pool(
    models: Sequence[Work], replicas: int, failures: Failures | None = None, seed: int = 0, replica_s: float = 0.0
) -> Simulated:
    """Run the windows of all models on replicas.

    Args:
        models: of each, the seconds to load it on a replica and its windows.
        failures, seed: as for `simulate`.
        replica_s: seconds to start a replica, at first and after each failure.

    Raises:
        UsageError: as for `simulate`.
    """
    if failures is not None:
        check_ends(models, failures, replica_s)
    return _Pool(models, replicas, failures, random.Random(seed), replica_s).all()


class _Pool:
    def __init__(self, models: Sequence[Work], replicas: int, failures: Failures | None, draw: random.Random,
                 replica_s: float) -> None:  # fmt: skip
        self._models, self._failures, self._draw, self._replicas = models, failures, draw, replicas
        self._replica_s = replica_s
        self._left = [list(reversed(work.windows_s)) for work in models]
        self._left_s = [work.computing_s for work in models]
        self._fresh = deque(model for model, left in enumerate(self._left) if left)
        self._helpers = [0] * len(models)
        self._holds: list[int | None] = [None] * replicas
        self._idle = set(range(replicas))
        self._events: list[_Event] = []
        self._unfinished = sum(map(len, self._left))
        self._computing_s = self._starting_s = self._lost_s = self._end_s = 0.0
        self._starts = self._n_failures = 0

    def all(self) -> Simulated:
        """Run to the end."""
        self._hand_out(0.0)
        while self._unfinished:
            event = heapq.heappop(self._events)
            if event.kind is _Kind.FAILED:
                self._fail(event)
            else:
                if event.kind is _Kind.DONE:
                    self._count(event)
                self._idle.add(event.replica)
            self._hand_out(event.at_s)
        return Simulated(self._end_s, self._replicas, self._computing_s, self._starting_s, self._lost_s, self._starts,
                         self._n_failures)  # fmt: skip

    def _count(self, event: _Event) -> None:
        self._unfinished -= 1
        self._computing_s += event.window_s
        self._starting_s += event.start_s
        self._starts += event.start_s > 0
        self._end_s = event.at_s

    def _fail(self, event: _Event) -> None:
        assert self._failures is not None
        self._n_failures += 1
        self._left[event.model].append(event.window_s)
        self._left_s[event.model] += event.window_s
        self._hold(event.replica, None)
        if event.lives_s > event.start_s:
            self._starting_s += event.start_s
            self._starts += event.start_s > 0
            self._lost_s += event.lives_s - event.start_s
        else:
            self._lost_s += event.lives_s
        repaired_s = event.at_s + self._failures.repair_s
        heapq.heappush(self._events, _Event(repaired_s, event.replica, _Kind.REPAIRED))

    def _hold(self, replica: int, model: int | None) -> None:
        before = self._holds[replica]
        if before is not None:
            self._helpers[before] -= 1
        if model is not None:
            self._helpers[model] += 1
        self._holds[replica] = model

    def _hand_out(self, now: float) -> None:
        for replica in sorted(self._idle):
            held = self._holds[replica]
            if held is not None and self._left[held]:
                self._begin(now, replica, held)
        for replica in sorted(self._idle):
            model = self._another()
            if model is None:
                return
            self._begin(now, replica, model)

    def _another(self) -> int | None:
        """The model that a replica loads next, or None."""
        while self._fresh:
            model = self._fresh.popleft()
            if self._left[model]:
                return model
        open_models = [model for model, left in enumerate(self._left) if left]
        if not open_models:
            return None
        model = max(open_models, key=lambda one: self._left_s[one] / (self._helpers[one] + 1))
        worth = self._left_s[model] > self._models[model].start_s * self._helpers[model]
        return model if worth else None

    def _begin(self, now: float, replica: int, model: int) -> None:
        self._idle.discard(replica)
        start_s = self._replica_s if self._holds[replica] is None else 0.0
        start_s += 0.0 if self._holds[replica] == model else self._models[model].start_s
        self._hold(replica, model)
        window_s = self._left[model].pop()
        self._left_s[model] -= window_s
        lives_s = self._draw.expovariate(1 / self._failures.every_s) if self._failures else math.inf
        needed_s = start_s + window_s
        kind = _Kind.DONE if lives_s >= needed_s else _Kind.FAILED
        event = _Event(now + min(lives_s, needed_s), replica, kind, model, window_s, start_s, min(lives_s, needed_s))
        heapq.heappush(self._events, event)
