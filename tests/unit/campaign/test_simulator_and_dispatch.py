"""The simulator of a pool against the code that hands out windows, both on a clock that is only counted."""

from dataclasses import replace
from functools import partial

import pytest
from free_engine import FreeEngine
from hypothesis import given, settings
from hypothesis import strategies as st
from localpool import LocalPool

from pytest_slmsec.campaign.simulate import Work
from pytest_slmsec.campaign.simulate_pool import simulate_pool
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.dispatch import Dispatch
from pytest_slmsec.execution.pool import Answered
from pytest_slmsec.execution.replica import Replica

KIND = {"cpu": "x"}


class FreeReplica(Replica):
    def _make_engine(self, spec):
        return FreeEngine(spec)


class CountedPool(LocalPool):
    """Replicas that need a known number of seconds for each job; the next to end is the next that is received.

    Args:
        names: of the replicas. load_s, window_s: of a model by name, and of an item by its id.
    """

    def __init__(self, names, load_s, window_s):
        super().__init__(None, **dict.fromkeys(names, KIND))
        self._replicas = {name: FreeReplica() for name in names}
        self._load_s, self._window_s = load_s, window_s
        self._ends = {}
        self.now_s = 0.0

    def send(self, replica, job):
        super().send(replica, job)
        if len(self.jobs[replica]) == 1:
            self._begin(replica)

    def receive(self, timeout_s):
        if self.events:
            events, self.events = list(self.events), type(self.events)()
            return events
        if not self._ends:
            return []
        name = min(self._ends, key=lambda one: self._ends[one][0])
        self.now_s, done = self._ends.pop(name)
        self.jobs[name].popleft()
        if self.jobs[name]:
            self._begin(name)
        return [Answered(name, done)]

    def _begin(self, name):
        job = self.jobs[name][0]
        done = self._replicas[name].run(job)
        load_s = self._load_s[job.model.name] if done.load_s else 0.0
        wall_s = sum(self._window_s[job.requests[row].id] for row in job.rows)
        self._ends[name] = self.now_s + load_s + wall_s, replace(done, load_s=load_s, wall_s=wall_s)


def makespan_s(models, n_replicas, folder):
    """Seconds until `Dispatch` has the last answer. models: of each, seconds to load it and of its windows."""
    specs = [ModelSpec(f"m{number}", f"m{number}", source="path") for number in range(len(models))]
    load_s = {spec.name: work.start_s for spec, work in zip(specs, models, strict=True)}
    window_s = {f"{spec.name}-{n}": seconds for spec, work in zip(specs, models, strict=True)
                for n, seconds in enumerate(work.windows_s)}  # fmt: skip
    windows = [(spec, [Generate(name, (Message("user", f"{name} say:yes"),), 4)])
               for spec in specs for name in window_s if name.startswith(f"{spec.name}-")]  # fmt: skip
    pool = CountedPool([f"r{n}" for n in range(n_replicas)], load_s, window_s)
    journal = Journal.start(folder / "j.jsonl")
    dispatch = Dispatch(pool, lambda spec: EngineSettings(), lambda: journal, lambda line: None)
    dispatch.plan((spec, partial(list, one)) for spec, one in windows)
    for spec, one in windows:
        dispatch.ask(spec, one, lambda done: None)
    journal.close()
    return pool.now_s


@pytest.fixture(autouse=True)
def log(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("FREE_ENGINE_LOG", str(tmp_path_factory.mktemp("log") / "log"))


MODEL = st.builds(lambda load_s, window_s, n: Work.of(load_s, [window_s] * n),
                  st.floats(1, 60), st.floats(1, 30), st.integers(1, 25))  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(MODEL, min_size=1, max_size=4), st.integers(1, 4))
def test_the_simulator_hands_out_windows_as_the_pool_does(tmp_path_factory, models, n_replicas):
    """They differ by what the pool cannot know: how long a model takes before its first window is answered."""
    found = makespan_s(models, n_replicas, tmp_path_factory.mktemp("run"))
    simulated = simulate_pool(models, n_replicas).makespan_s
    longest_s = max(work.start_s + 2 * max(work.windows_s) for work in models)
    assert abs(found - simulated) <= longest_s


@pytest.mark.parametrize("n_replicas", [1, 2, 8])
def test_of_a_campaign_they_say_the_same_within_a_hundredth(tmp_path, n_replicas):
    models = [Work.of(60, [25.6] * 40) for _ in range(8)]
    assert simulate_pool(models, n_replicas).makespan_s == pytest.approx(
        makespan_s(models, n_replicas, tmp_path), rel=0.01
    )
