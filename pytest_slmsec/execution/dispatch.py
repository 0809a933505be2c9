"""Which replica of a pool gets which window, and what happens to the windows of a replica that dies.

* A replica has two windows at most: one that it works on, and the next. The last windows are handed out one at a time,
  so that no replica has two while another has none.
* It stays with its model as long as there are windows of it, then takes a model that no other replica has loaded, and
  last helps where most windows a replica are left, unless loading the model takes longer than that saves.
* The windows of a dead replica are asked again elsewhere. The one that it worked on is suspected: after three deaths it
  is halved, and so on until one item is left, which is then an error of that item.
* All replicas must be of one kind (hardware and versions), and load the same model from the same weights: others are
  sent away.

Answers are journaled as they arrive, in this process alone. A window whose answers are all in the journal is not sent.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.core.errors import ModelError, SlmsecError
from pytest_slmsec.core.identity import answer_key, model_key
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.batch_runner import MeasuredOutput, outcome
from pytest_slmsec.execution.model_loader import identity_parts
from pytest_slmsec.execution.pool import Answered, Died, Done, Event, Job, Joined, Pool, PoolError

MOST_IN_FLIGHT = 2
MOST_DEATHS = 3
"""So many replicas may die of one window before it is halved, or of loading one model before it counts as broken."""
TURN_S = 0.5
LONGEST_ALONE_S = 600.0
"""How long the run waits while no replica lives."""
IDLE_S = 20.0
"""A replica without work is let go after so many seconds; the last one stays until the end of the run."""


@dataclass(eq=False)
class Window:
    """Requests that are planned together, or rows of them.

    Attributes:
        make: gives the requests, when their turn has come. deaths: replicas that died while they worked on it.
        requests, rows: once they are made; rows: the places that are to be answered.
    """

    model: ModelSpec
    make: Callable[[], Sequence[Request]]
    requests: tuple[Request, ...] = ()
    rows: tuple[int, ...] = ()
    deaths: int = 0

    def halves(self) -> list[Window]:
        """Both halves of its rows; both are planned as parts of the whole."""
        half = len(self.rows) // 2
        parts = self.rows[:half], self.rows[half:]
        return [Window(self.model, self.make, self.requests, rows, MOST_DEATHS - 1) for rows in parts]


@dataclass
class PooledEngine:
    """Stands in this process for a model that replicas have loaded; see `engines.common.base.Engine`."""

    info: EngineInfo
    capabilities: Capability

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """All at once: each replica plans by itself."""
        return [list(range(len(requests)))] if requests else []

    def run(self, requests: Sequence[Request]) -> Batch:
        """Never: windows go through `Dispatch.ask`.

        Raises:
            PoolError: always.
        """
        raise PoolError("what asks a model by itself needs one process: leave out --slmsec-pool.")

    def close(self) -> None:
        """Nothing is held here."""


@dataclass
class _Model:
    """A model of the run: where it is known, what it is; deaths while it was loaded, before it was known.

    `load_s`: seconds that its latest loading took; `windows`, `wall_s`: how many are answered, and their seconds.
    """

    engine: PooledEngine | None = None
    identity: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    broken: str | None = None
    deaths: int = 0
    load_s: float = 0.0
    windows: int = 0
    wall_s: float = 0.0

    def note(self, done: Done, is_window: bool) -> None:
        """Take the times of an answered job."""
        self.load_s = done.load_s if done.load_s else self.load_s
        self.windows += is_window
        self.wall_s += done.wall_s

    def is_worth_helping(self, n_waiting: int, n_busy: int) -> bool:
        """Whether one more replica ends the waiting windows sooner, although it has to load the model first.

        `n_busy` replicas need w / n_busy seconds for w seconds of windows; with one more that loads for l seconds, all
        end after (w + l) / (n_busy + 1), which is less where w > l * n_busy. Before a window is answered: yes.
        """
        return not self.windows or n_waiting * self.wall_s / self.windows > self.load_s * n_busy


@dataclass
class _Replica:
    """A living replica. `jobs`: its windows, oldest first; None stands for loading alone."""

    name: str
    place: str
    model: ModelSpec | None = None
    jobs: deque[Window | None] = field(default_factory=deque)
    idle_since: float | None = None


@dataclass
class Tally:
    """What the pool did, for the summary."""

    replicas: int = 0
    windows: int = 0
    again: int = 0
    deaths: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0


class Dispatch:
    """Hands windows to replicas and journals their answers.

    Args:
        settings_of: how a model is loaded. journal: opens the journal of the run. say: shows one line.
    """

    def __init__(
        self,
        pool: Pool,
        settings_of: Callable[[ModelSpec], EngineSettings],
        journal: Callable[[], Journal],
        say: Callable[[str], None],
    ) -> None:
        self._pool, self._settings_of, self._journal, self._say = pool, settings_of, journal, say
        self._queues: dict[ModelSpec, deque[Window]] = {}
        self._replicas: dict[str, _Replica] = {}
        self._models: dict[ModelSpec, _Model] = {}
        self._kind: Mapping[str, Any] | None = None
        self._in_flight: set[str] = set()
        self._failed: dict[str, Output] = {}
        self._alone_since = time.monotonic()
        self.tally = Tally()

    def plan(self, windows: Iterable[tuple[ModelSpec, Callable[[], Sequence[Request]]]]) -> None:
        """Take windows that are certain to be asked, in their order, to be handed out before anybody waits for them."""
        for model, make in windows:
            self._queues.setdefault(model, deque()).append(Window(model, make))

    def load(self, model: ModelSpec) -> PooledEngine:
        """Have a replica load a model, and wait for what it is.

        Raises:
            ModelError: it cannot be loaded. PoolError: no replica lives.
        """
        state = self._models.setdefault(model, _Model())
        self._queues.setdefault(model, deque())
        while state.engine is None and state.broken is None:
            self._turn(TURN_S, first=model)
        if state.engine is None:
            raise ModelError(state.broken or "")
        return state.engine

    def ask(
        self, model: ModelSpec, requests: Sequence[Request], advance: Callable[[int], None]
    ) -> list[MeasuredOutput]:
        """The answers to a window, which may have been handed out before; see `batch_runner.ask`.

        Raises:
            JournalError: an answer cannot be stored. PoolError: no replica lives.
        """
        self.load(model)
        keys = [answer_key(self._models[model].identity, request) for request in requests]
        self._queues[model].appendleft(Window(model, lambda: requests))
        open_keys, shown = {*keys}, 0
        while True:
            open_keys = {key for key in open_keys if not self._is_settled(key)}
            done = sum(key not in open_keys for key in keys)
            advance(done - shown)
            shown = done
            if not open_keys:
                break
            self._turn(TURN_S, first=model)
        found = [outcome(self._journal(), key, self._failed.get(key)) for key in keys]
        for key in keys:
            self._failed.pop(key, None)
        return found

    def look(self) -> None:
        """Take what has arrived and hand out more, without waiting."""
        self._turn(0.0)

    def close(self) -> None:
        """Keep what has arrived, and let all replicas go."""
        try:
            self._handle(self._pool.receive(0.0))
        except SlmsecError:
            pass  # the pool is lost, or the journal is full: both have been said
        finally:
            self._pool.close()

    def _is_settled(self, key: str) -> bool:
        return key in self._failed or self._journal().output(key) is not None

    def _turn(self, timeout_s: float, first: ModelSpec | None = None) -> None:
        """Hand out what can be, and wait for something to happen."""
        for n_jobs in range(MOST_IN_FLIGHT):
            n_waiting = self._n_waiting()
            for replica in list(self._replicas.values()):
                if len(replica.jobs) == n_jobs and (n_jobs == 0 or n_waiting > len(self._replicas)):
                    self._hand_out(replica, first)
                    n_waiting -= 1
        self._pool.want(any(self._queues.values()) or not self._replicas)
        self._handle(self._pool.receive(timeout_s))
        self._release_idle()
        self._check_alone()

    def _n_waiting(self) -> int:
        return sum(len(queue) for model, queue in self._queues.items() if not self._is_broken(model))

    def _hand_out(self, replica: _Replica, first: ModelSpec | None) -> None:
        """Give a replica its next job, if there is one for it now."""
        while (model := self._next_model(replica, first)) is not None:
            state = self._models.setdefault(model, _Model())
            if state.engine is None:
                if not replica.jobs and state.broken is None:
                    self._send(replica, model, None)  # what it is must be known before its answers have keys
                return
            window = self._next_window(model, state)
            if window is not None:
                self._send(replica, model, window)
                return

    def _next_model(self, replica: _Replica, first: ModelSpec | None) -> ModelSpec | None:
        """The model of which a replica gets the next window."""
        waiting = [model for model, queue in self._queues.items() if queue and not self._is_broken(model)]
        if first is not None and first not in waiting and not self._is_known(first):
            waiting.insert(0, first)  # to be loaded, although nothing is asked yet
        if replica.model in waiting:
            return replica.model
        if replica.jobs or not waiting:
            return None
        elsewhere = Counter(other.model for other in self._replicas.values())
        free = [model for model in waiting if model not in elsewhere]
        return free[0] if free else self._to_help(waiting, elsewhere)

    def _to_help(self, waiting: Sequence[ModelSpec], elsewhere: Mapping[ModelSpec | None, int]) -> ModelSpec | None:
        """The model with most windows a replica that has it, if one more replica is worth its loading."""
        model = max(waiting, key=lambda one: len(self._queues[one]) / (elsewhere[one] + 1))
        state = self._models.get(model, _Model())
        return model if state.is_worth_helping(len(self._queues[model]), elsewhere[model]) else None

    def _next_window(self, model: ModelSpec, state: _Model) -> Window | None:
        """The next window of a model with something left to ask; it is taken from the queue."""
        queue = self._queues[model]
        while queue:
            window = queue.popleft()
            try:
                requests = window.requests or tuple(window.make())
            except SlmsecError:
                continue  # its items cannot be read; its own test cases say so
            keys = [answer_key(state.identity, request) for request in requests]
            rows = window.rows or range(len(requests))
            # The same prompt may stand in several windows, and twice in one.
            left = {keys[row]: row for row in reversed(rows)
                    if keys[row] not in self._in_flight and not self._is_settled(keys[row])}  # fmt: skip
            if left:
                window.requests, window.rows = requests, tuple(sorted(left.values()))
                return window
        return None

    def _send(self, replica: _Replica, model: ModelSpec, window: Window | None) -> None:
        settings = self._settings_of(model)
        job = Job(model, settings) if window is None else Job(model, settings, window.requests, window.rows)
        replica.model, replica.idle_since = model, None
        replica.jobs.append(window)
        self._in_flight |= self._keys_of(window)
        self.tally.windows += window is not None
        self._pool.send(replica.name, job)

    def _keys_of(self, window: Window | None) -> set[str]:
        if window is None:
            return set()
        identity = self._models[window.model].identity
        return {answer_key(identity, window.requests[row]) for row in window.rows}

    def _handle(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Joined):
                self._joined(event)
            elif event.replica not in self._replicas:
                continue  # it was sent away
            elif isinstance(event, Died):
                self._died(self._replicas.pop(event.replica), event.why)
            else:
                self._answered(self._replicas[event.replica], event)

    def _joined(self, event: Joined) -> None:
        if self._kind is None:
            self._kind = event.kind
        other = next((name for name in self._kind if self._kind[name] != event.kind.get(name)), None)
        if other is not None:
            self._say(
                f"a replica on {event.place} is refused: its {other} is {event.kind.get(other)}, and that of the "
                f"others {self._kind[other]}, so answers may differ between them: use nodes of one kind"
            )
            self._pool.release(event.replica, for_good=True)
            return
        self._replicas[event.replica] = _Replica(event.replica, event.place, idle_since=time.monotonic())
        self.tally.replicas += 1
        self._say(f"a replica on {event.place} has joined; {counted(len(self._replicas), 'replica')} in all")

    def _answered(self, replica: _Replica, event: Answered) -> None:
        window, done = replica.jobs.popleft(), event.done
        model = window.model if window is not None else replica.model
        assert model is not None
        if not replica.jobs:
            replica.idle_since = time.monotonic()
        self._in_flight -= self._keys_of(window)
        if not self._is_same_model(replica, model, done):
            self._send_away(replica, window)
            return
        self.tally.cpu_s += done.cpu_s
        self.tally.wall_s += done.wall_s
        self._models[model].note(done, is_window=window is not None)
        if window is None:
            return
        for batch in done.batches:
            self._journal().append(batch)
        failed = done.failed if done.unfit is None else dict.fromkeys(window.rows, done.unfit)
        identity = self._models[model].identity
        for row, why in failed.items():
            self._failed[answer_key(identity, window.requests[row])] = Output(error=why)

    def _is_same_model(self, replica: _Replica, model: ModelSpec, done: Done) -> bool:
        """Whether a replica has loaded what the first one has; the first one says what that is."""
        state = self._models.setdefault(model, _Model())
        if done.info is None:
            if state.engine is None:
                state.broken = done.refused
                return True
            self._say(f"the replica on {replica.place} is sent away: {done.refused}")
            return False
        info = EngineInfo(**done.info)
        parts = identity_parts(info)
        if state.engine is None:
            state.engine = PooledEngine(info, Capability(done.capabilities))
            state.parts, state.identity = parts, model_key(parts)
            return True
        other = next((name for name in parts if parts[name] != state.parts.get(name)), None)
        if other is not None:
            self._say(
                f"the replica on {replica.place} is sent away: {other} of {model.name} is {parts[other]} there, and "
                f"{state.parts.get(other)} elsewhere"
            )
        return other is None

    def _send_away(self, replica: _Replica, window: Window | None) -> None:
        """Let a replica go for good; what it was given is asked elsewhere."""
        del self._replicas[replica.name]
        self._pool.release(replica.name, for_good=True)
        self._ask_again([window, *replica.jobs])

    def _died(self, replica: _Replica, why: str) -> None:
        self.tally.deaths += 1
        self._say(f"the replica on {replica.place} is gone ({why}); {counted(len(self._replicas), 'replica')} left")
        if not self._replicas:
            self._alone_since = time.monotonic()
        jobs = list(replica.jobs)
        if jobs and jobs[0] is None and replica.model is not None:
            self._died_loading(replica.model, why)
        elif jobs and jobs[0] is not None:
            self._in_flight -= self._keys_of(jobs[0])
            jobs[0].deaths += 1
            jobs = [*self._suspected(jobs[0]), *jobs[1:]]
        self._ask_again(jobs)

    def _died_loading(self, model: ModelSpec, why: str) -> None:
        state = self._models[model]
        state.deaths += 1
        if state.deaths >= MOST_DEATHS and state.engine is None:
            state.broken = (
                f"{model.name}: {counted(state.deaths, 'replica')} died while they loaded it: it may need more memory "
                f"than a node has left. The last one: {why}"
            )

    def _suspected(self, window: Window) -> list[Window]:
        """What is left to ask of a window that a replica died of."""
        if window.deaths < MOST_DEATHS:
            return [window]
        if len(window.rows) > 1:
            return window.halves()
        request = window.requests[window.rows[0]]
        why = (
            f"{request.id}: every replica died that was asked it, {MOST_DEATHS} with its window and one with it alone."
        )
        self._failed[answer_key(self._models[window.model].identity, request)] = Output(error=why)
        return []

    def _ask_again(self, windows: Sequence[Window | None]) -> None:
        """Put windows back to the front of their queue, in their order."""
        for window in reversed(windows):
            if window is not None:
                self._in_flight -= self._keys_of(window)
                self._queues[window.model].appendleft(window)
                self.tally.again += 1

    def _release_idle(self) -> None:
        now = time.monotonic()
        if any(self._queues.values()):
            return
        for replica in list(self._replicas.values()):
            waits = replica.idle_since is not None and not replica.jobs and now - replica.idle_since > IDLE_S
            if waits and len(self._replicas) > 1:
                del self._replicas[replica.name]
                self._pool.release(replica.name)
                self._say(f"the replica on {replica.place} is let go: there is no work for it")

    def _check_alone(self) -> None:
        if self._replicas:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > LONGEST_ALONE_S:
            raise PoolError(f"no replica of the pool has lived for {LONGEST_ALONE_S:.0f} seconds: see that the cluster "
                            "has a node with a free processor or GPU.")  # fmt: skip

    def _is_known(self, model: ModelSpec) -> bool:
        state = self._models.get(model)
        return state is not None and (state.engine is not None or state.broken is not None)

    def _is_broken(self, model: ModelSpec) -> bool:
        state = self._models.get(model)
        return state is not None and state.broken is not None
