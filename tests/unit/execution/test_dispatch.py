"""Which replica gets which window, and what becomes of the windows of those that die."""

import json
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
from free_engine import FreeEngine
from hypothesis import given, settings
from hypothesis import strategies as st
from localpool import LocalPool

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution import dispatch
from pytest_slmsec.execution.batch_runner import ask
from pytest_slmsec.execution.dispatch import Dispatch
from pytest_slmsec.execution.model_loader import ModelLoader
from pytest_slmsec.execution.pool import PoolError
from pytest_slmsec.execution.replica import Replica, _Silent

ALPHA, BETA = ModelSpec("alpha", "alpha", source="path"), ModelSpec("beta", "beta", source="path")
KIND = {"cpu": "x", "packages": {"torch": "2"}}


class FreeReplica(Replica):
    def _make_engine(self, spec):
        return FreeEngine(spec)


def question(n, text=""):
    return Generate(f"q-{n:03}", (Message("user", f"item {n} {text} say:answer {n}"),), 8)


class Runs:
    """A dispatch over replicas of the free engine, and a journal.

    `deadly`: of a job: the replica dies of it. `load_s`, `window_s`: seconds that replicas say they took, if given.
    """

    load_s = window_s = None

    def __init__(self, folder, names=("one", "two"), deadly=lambda job: False, kinds=None):
        self.log, self.deadly = folder / "log", deadly
        self.log.touch()
        self.replicas = {}
        self.pool = LocalPool(self.work, **(kinds or dict.fromkeys(names, KIND)))
        self.journal = Journal.resume(folder / "j.jsonl")
        self.said = []
        self.dispatch = Dispatch(self.pool, lambda spec: EngineSettings(), lambda: self.journal, self.said.append)

    def work(self, name, job):
        if self.deadly(job):
            return None
        done = self.replicas.setdefault(name, FreeReplica()).run(job)
        if self.window_s is None:
            return done
        return replace(done, load_s=self.load_s if done.load_s else 0.0, wall_s=self.window_s if job.requests else 0.0)

    def plan(self, *windows):
        self.dispatch.plan((model, partial(list, requests)) for model, requests in windows)

    def ask(self, requests, model=ALPHA):
        return [one.output for one in self.dispatch.ask(model, requests, lambda done: None)]

    def lines(self, key):
        return [line[key] for line in map(json.loads, self.log.read_text().splitlines()) if key in line]

    def asked(self):
        return Counter(name for batch in self.lines("ask") for name in batch)


@pytest.fixture
def runs(tmp_path, monkeypatch):
    monkeypatch.setenv("FREE_ENGINE_LOG", str(tmp_path / "log"))
    return lambda *args, **kwargs: Runs(tmp_path, *args, **kwargs)


def windows(n, size=10, model=ALPHA, first=0):
    return [(model, [question(first + w * size + i) for i in range(size)]) for w in range(n)]


def test_answers_and_batches_are_those_of_one_process(runs, tmp_path):
    requests = [question(n, "poison" if n == 5 else "unanswerable" if n == 11 else "") for n in range(20)]
    pooled = runs().ask(requests)
    alone = Journal.start(tmp_path / "alone.jsonl")
    models = ModelLoader(FreeEngine, _Silent())
    assert pooled == [one.output for one in ask(models.load(ALPHA), requests, alone, lambda done: None)]
    assert [output.error is None for output in pooled] == [n not in (5, 11) for n in range(20)]


def test_windows_are_handed_out_before_anybody_waits_two_a_replica(runs):
    run = runs()
    planned = windows(9)
    run.plan(*planned)
    for _, requests in planned:
        assert all(output.error is None for output in run.ask(requests))
    assert set(run.asked().values()) == {1}
    shares = Counter(name for name, job in run.pool.sent if job.requests)
    assert sum(shares.values()) == 9
    assert min(shares.values()) >= 3


def test_a_replica_stays_with_its_model_and_each_is_loaded_once(runs):
    run = runs()
    planned = [*windows(4, model=ALPHA), *windows(4, model=BETA, first=100)]
    run.plan(*planned)
    for model, requests in planned:
        run.ask(requests, model)
    assert sorted(run.lines("load")) == ["alpha", "beta"]


def test_a_replica_without_windows_of_its_model_helps_with_another(runs):
    run = runs()
    planned = [*windows(1, model=ALPHA), *windows(9, model=BETA, first=100)]
    run.plan(*planned)
    for model, requests in planned:
        run.ask(requests, model)
    assert sorted(run.lines("load")) == ["alpha", "beta", "beta"]


def test_each_replica_gets_a_window_before_any_gets_two(runs):
    run = runs(names=["one", "two", "three", "four"])
    run.plan(*windows(4))
    for _, requests in windows(4):
        run.ask(requests)
    assert Counter(name for name, job in run.pool.sent if job.requests) == dict.fromkeys(run.pool.jobs, 1)


@pytest.mark.parametrize(("load_s", "loaded"), [(90.0, ["alpha", "beta"]), (1.0, ["alpha", "beta", "beta"])])
def test_a_replica_helps_only_where_that_saves_more_than_loading_takes(runs, load_s, loaded):
    """When `alpha` is done, about six windows of ten seconds are left of `beta`."""
    run = runs()
    run.load_s, run.window_s = load_s, 10.0
    planned = [*windows(1, model=ALPHA), *windows(7, model=BETA, first=100)]
    run.plan(*planned)
    for model, requests in planned:
        run.ask(requests, model)
    assert sorted(run.lines("load")) == loaded


def test_a_dead_replica_gets_no_window_until_it_lives(runs):
    run = runs()
    planned = windows(16)
    run.plan(*planned)
    run.ask(planned[0][1])
    run.pool.die("one")
    run.dispatch.look()  # tells of the death
    run.pool.to_the_dead.clear()
    sent = len(run.pool.sent)
    run.ask(planned[5][1])
    assert {name for name, _ in run.pool.sent[sent:]} == {"two"}
    assert run.pool.to_the_dead == []

    sent = len(run.pool.sent)
    run.pool.join("one", KIND)
    for _, requests in planned:
        run.ask(requests)
    assert {name for name, job in run.pool.sent[sent:] if job.requests} == {"one", "two"}


def test_what_a_dead_replica_had_is_asked_again_and_nothing_else(runs):
    run = runs()
    run.plan(*windows(8))
    run.ask(windows(8)[0][1])
    lost = {request.id for job in run.pool.jobs["one"] for request in job.requests}
    run.pool.die("one")
    for _, requests in windows(8):
        assert all(output.error is None for output in run.ask(requests))
    handed = Counter(request.id for _, job in run.pool.sent for request in job.requests)
    assert {name for name, times in handed.items() if times > 1} == lost
    assert len(lost) <= 20
    assert set(run.asked().values()) == {1}
    assert "the replica on node of one is gone (killed); 1 replica left" in run.said


def test_a_window_that_kills_replicas_is_halved_to_one_red_item(runs):
    deaths = []

    def deadly(job):
        dies = any("bomb" in job.requests[row].messages[0].content for row in job.rows)
        if dies:
            deaths.append(len(job.rows))
            run.pool.join(f"new-{len(deaths)}", KIND)
        return dies

    run = runs(deadly=deadly)
    requests = [question(n, "bomb" if n == 13 else "") for n in range(16)]
    outputs = run.ask(requests)
    assert [output.error is None for output in outputs] == [n != 13 for n in range(16)]
    assert outputs[13].error == (
        "q-013: every replica died that was asked it, 3 with its window and one with it alone."
    )
    assert deaths == [16, 16, 16, 8, 4, 2, 1]
    assert all(times == 1 for name, times in run.asked().items() if name != "q-013")


def test_a_model_that_kills_replicas_while_it_is_loaded_is_broken(runs):
    def deadly(job):
        run.pool.join(f"new-{len(run.pool.sent)}", KIND)
        return not job.requests

    run = runs(names=["one"], deadly=deadly)
    with pytest.raises(ModelError, match=r"3 replicas died while they loaded it: it may need more memory .*: killed"):
        run.ask([question(1)])


def test_a_model_that_cannot_be_loaded_is_said_once(runs, monkeypatch):
    monkeypatch.setattr(FreeReplica, "_make_engine", lambda self, spec: (_ for _ in ()).throw(ModelError("no files.")))
    run = runs()
    with pytest.raises(ModelError, match=r"alpha: no files\."):
        run.ask([question(1)])
    assert len(run.pool.jobs) == 2


def test_a_replica_of_another_kind_is_refused(runs):
    run = runs(kinds={"one": KIND, "two": {**KIND, "packages": {"torch": "3"}}})
    run.plan(*windows(4))
    run.ask(windows(4)[3][1])
    assert run.pool.released == [("two", True)]
    assert {name for name, _ in run.pool.sent} == {"one"}
    assert any("a replica on node of two is refused: its packages is {'torch': '3'}" in text for text in run.said)


def test_a_replica_with_other_weights_is_sent_away_and_its_answers_are_not_taken(runs, monkeypatch):
    run = runs(names=["one"])
    run.plan(*windows(6))
    run.ask(windows(6)[0][1])
    monkeypatch.setenv("FREE_ENGINE_WEIGHTS", "other")
    run.pool.join("two", KIND)
    for _, requests in windows(6):
        run.ask(requests)
    assert run.pool.released == [("two", True)]
    assert any("is sent away: weights_sha256 of alpha is otheralpha there, and walpha elsewhere" in t for t in run.said)
    assert len({batch.keys for batch in run.journal._earlier.values()}) == 0
    assert len(run.journal) == 60


def test_a_second_run_asks_only_what_the_journal_lacks(runs):
    first = runs()
    first.ask(windows(2)[0][1])
    first.journal.close()
    second = runs()
    second.plan(*windows(2))
    for _, requests in windows(2):
        second.ask(requests)
    assert set(second.asked().values()) == {1}
    assert [len(job.rows) for _, job in second.pool.sent if job.requests] == [10]


def test_half_a_window_in_the_journal_is_planned_as_the_whole(runs, tmp_path):
    """The rest of an interrupted window goes through the same batches as without the interruption."""
    whole = windows(1, size=16)[0][1]
    first = runs()
    first.ask(whole[:4])
    first.journal.close()
    second = runs()
    second.ask(whole)
    assert second.lines("ask")[1:] == [[r.id for r in whole[4:8]], [r.id for r in whole[8:16]]]


def test_the_same_prompt_in_two_windows_is_asked_once(runs):
    run = runs()
    run.plan((ALPHA, [question(n) for n in range(10)]), (ALPHA, [question(n) for n in range(5, 15)]))
    run.ask([question(n) for n in range(10)])
    run.ask([question(n) for n in range(5, 15)])
    assert set(run.asked().values()) == {1}


def test_a_node_that_joins_gets_work_and_idle_replicas_are_let_go(runs, monkeypatch):
    monkeypatch.setattr(dispatch, "IDLE_S", -1.0)
    run = runs(names=["one"])
    run.plan(*windows(8))
    run.ask(windows(8)[0][1])
    run.pool.join("late", KIND)
    for _, requests in windows(8):
        run.ask(requests)
    assert any(name == "late" and job.requests for name, job in run.pool.sent)
    assert run.pool.wanted is False
    run.dispatch.look()
    assert len(run.pool.jobs) == 1


def test_without_replicas_the_run_waits_and_then_ends(runs, monkeypatch):
    run = runs(names=[])
    monkeypatch.setattr(dispatch, "LONGEST_ALONE_S", 0.0)
    with pytest.raises(PoolError, match="no replica of the pool has lived"):
        run.ask([question(1)])


def test_what_arrived_before_the_end_is_kept(runs):
    run = runs()
    run.plan(*windows(8))
    run.ask(windows(8)[0][1])
    stored = len(run.journal)
    run.dispatch.close()
    assert len(run.journal) > stored
    assert run.pool.closed


@settings(max_examples=30, deadline=None)
@given(deaths=st.lists(st.integers(0, 25), max_size=6), size=st.integers(1, 12), replicas=st.integers(1, 4))
def test_whoever_dies_when_nothing_is_lost(tmp_path_factory, deaths, size, replicas):
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FREE_ENGINE_LOG", str(folder / "log"))
        count = iter(range(10_000))

        def deadly(job):
            dies = next(count) in deaths
            if dies:
                run.pool.join(f"new-{len(run.pool.sent)}", KIND)
            return dies

        run = Runs(folder, [f"r{n}" for n in range(replicas)], deadly)
        planned = windows(5, size)
        run.plan(*planned)
        texts = [output.text for _, requests in planned for output in run.ask(requests)]
        assert texts == [f"answer {n}" for n in range(5 * size)]
        handed = sum(len(job.rows) for _, job in run.pool.sent)
        assert handed <= 5 * size + 2 * size * len(deaths)
        assert set(run.asked().values()) == {1}
