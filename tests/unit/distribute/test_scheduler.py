"""Which worker is given what, with workers that do nothing but remember it."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("xdist")

from pytest_slmsec.distribute.scheduler import UnitScheduling
from pytest_slmsec.distribute.units import UnitPlan


class Worker:
    """A node of xdist: runs a test as soon as it knows the next one, or that there is none."""

    def __init__(self, name):
        self.gateway = SimpleNamespace(id=name)
        self.queue, self.ran, self.sent = [], [], []
        self.shutting_down = False

    def send_runtest_some(self, places):
        assert not self.shutting_down, "a worker that was told to end is given nothing more"
        self.queue += places
        self.sent.append(list(places))

    def shutdown(self):
        self.shutting_down = True

    @property
    def can_run(self):
        return len(self.queue) > (0 if self.shutting_down else 1)

    def __repr__(self):
        return self.gateway.id


class Config:
    def __init__(self, n):
        self.values = {"tx": ["popen"] * n, "maxschedchunk": None}

    def getvalue(self, name):
        return self.values[name]

    getoption = getvalue


class Run:
    """A whole run of tests with the ids `collected`."""

    def __init__(self, collected, n_workers, window=4, models=("alpha", "beta")):
        self.collected = collected
        self.scheduler = UnitScheduling(Config(n_workers), None, UnitPlan(models, window, n_workers).cut)
        self.scheduler.log = lambda *args: None
        self.workers = []
        for _ in range(n_workers):
            self.start_worker()
        self.schedule()

    def start_worker(self):
        worker = Worker(f"gw{len(self.workers)}")
        self.workers.append(worker)
        self.scheduler.add_node(worker)
        self.scheduler.add_node_collection(worker, self.collected)
        return worker

    def schedule(self):
        if self.scheduler.collection_is_completed:
            self.scheduler.schedule()

    def one_test(self, worker):
        place = worker.queue.pop(0)
        worker.ran.append(place)
        self.scheduler.mark_test_complete(worker, place)
        self.end_if_finished()

    def crash(self, worker):
        crashed = self.scheduler.remove_node(worker)
        worker.queue.clear()
        if crashed is not None:
            worker.ran.append(self.collected.index(crashed))
            self.start_worker()
            self.schedule()

    def end_if_finished(self):
        if self.scheduler.tests_finished:
            for worker in self.scheduler.nodes:
                worker.shutdown()

    def to_the_end(self, choose=lambda able: able[0]):
        self.end_if_finished()
        while able := [worker for worker in self.workers if worker.can_run]:
            self.one_test(choose(able))

    @property
    def ran(self):
        return sorted(place for worker in self.workers for place in worker.ran)

    def models_of(self, worker):
        return list(dict.fromkeys(self.collected[place].partition("[")[2].partition("-")[0] for place in worker.ran))


def asking(model, n, name="x"):
    return [f"t.py::test_{name}[{model}-{number}]" for number in range(n)]


def test_each_worker_keeps_its_model():
    run = Run(asking("alpha", 8) + asking("beta", 8), n_workers=2)
    turns = iter([0, 1] * 20)
    run.to_the_end(lambda able: able[next(turns) % len(able)])
    assert [run.models_of(worker) for worker in run.workers] == [["alpha"], ["beta"]]


def test_a_worker_that_is_done_helps_where_most_is_left():
    run = Run(asking("alpha", 4) + asking("beta", 4) + asking("gamma", 16), 2, models=("alpha", "beta", "gamma"))
    run.to_the_end()
    assert run.models_of(run.workers[0]) == ["alpha", "gamma"]


def test_ordinary_tests_come_before_a_model_that_another_worker_has():
    run = Run(["o.py::test_o", *asking("alpha", 12)], n_workers=2, models=("alpha",))
    assert run.workers[1].sent[0] == [0]


def test_a_worker_is_given_more_before_it_has_run_all():
    run = Run(asking("alpha", 12), n_workers=1)
    worker = run.workers[0]
    run.one_test(worker)
    run.one_test(worker)
    assert worker.sent == [[0, 1, 2, 3]]
    run.one_test(worker)
    assert worker.sent == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_workers_without_anything_to_do_end():
    run = Run(asking("alpha", 1), n_workers=3)
    assert [worker.shutting_down for worker in run.workers] == [True, True, True]
    run.to_the_end()
    assert run.ran == [0]


def test_a_run_without_tests_ends():
    assert Run([], n_workers=2).scheduler.tests_finished


def test_what_a_crashed_worker_left_stays_together_and_comes_first():
    run = Run(asking("alpha", 24), n_workers=2)
    first = run.workers[0]
    run.one_test(first)
    assert run.scheduler.remove_node(first) == run.collected[1]
    other = run.workers[1]
    while len(other.sent) == 1:
        run.one_test(other)
    assert other.sent[1] == [2, 3]


def test_a_plugin_may_have_a_crashed_test_run_again():
    run = Run(asking("alpha", 12), n_workers=2)
    crashed = run.scheduler.remove_node(run.workers[0])
    run.workers[0].queue.clear()
    run.scheduler.mark_test_pending(crashed)
    run.to_the_end()
    assert run.ran == list(range(12))


def test_a_worker_that_ended_well_leaves_nothing():
    run = Run(asking("alpha", 3), n_workers=1)
    run.to_the_end()
    assert run.scheduler.remove_node(run.workers[0]) is None
    assert not run.scheduler.has_pending


IDS = st.lists(st.sampled_from(["t.py::test_x[alpha-{}]", "t.py::test_y[beta-{}]", "o.py::test_o[{}]"]), max_size=40)


@given(IDS.map(lambda kinds: [kind.format(n) for n, kind in enumerate(kinds)]), st.integers(1, 4), st.data())
def test_every_test_runs_once_whatever_crashes(collected, n_workers, data):
    run = Run(collected, n_workers, window=data.draw(st.integers(1, 9)))
    run.end_if_finished()
    crashes = 3
    while able := [worker for worker in run.workers if worker.can_run]:
        worker = data.draw(st.sampled_from(able))
        if crashes and data.draw(st.integers(0, 9)) == 0:
            crashes -= 1
            run.crash(worker)
        else:
            run.one_test(worker)
    assert run.ran == list(range(len(collected)))
    assert run.scheduler.tests_finished
