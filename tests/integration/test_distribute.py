"""``-n``: what several processes share out, that nothing is asked twice, and that it measures the same."""

import json

import pytest

pytest.importorskip("xdist")

ORDINARY = """
import pytest

@pytest.mark.parametrize("number", range(7))
def test_ordinary(number):
    pass
"""
CRASH = """
import os
import pytest

@pytest.fixture(autouse=True)
def crash(request):
    if "alpha-hashes-00005" in request.node.nodeid and not os.path.exists("crashed"):
        open("crashed", "w").close()
        os._exit(1)
"""
GPUS = """
import os
from pytest_slmsec.distribute import gpus

gpus.installed = lambda: {n}

def pytest_collection(session):
    if worker := getattr(session.config, "workerinput", None):
        with open("gpus", "a") as file:
            file.write(f"{{worker['workerid']}} {{os.environ['CUDA_VISIBLE_DEVICES']}}\\n")
"""
TINY = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [Item(f"tiny-{{number}}", f"{{number}} say:yes", "yes") for number in range({n})]

@pytest.mark.slmsec(Task("tiny", score_exact, ACCURACY, ITEMS, max_new_tokens=8))
def test_tiny(answer):
    assert {asserted}
"""


class Shared:
    """Runs of the toy suite in several processes, and the record they leave."""

    def __init__(self, toy):
        self.toy, self.path = toy, toy.pytester.path

    def run(self, *args, models=("alpha",)):
        return self.toy.run("--benchmark-json=out.json", *args, models=models, subprocess=True)

    def only(self, n, asserted="answer.parsed"):
        """Replace the suite by a benchmark of `n` items."""
        for file in self.path.glob("test_*.py"):
            file.unlink()
        self.toy.pytester.makepyfile(test_tiny=TINY.format(n=n, asserted=asserted))

    def add_to_conftest(self, text):
        (self.path / "conftest.py").write_text((self.path / "conftest.py").read_text() + text)

    @property
    def record(self):
        """What is stored, but for what was measured with a clock or a meter."""
        content = json.loads((self.path / "out.json").read_text())
        for group in content["slmsec"]["groups"]:
            group["batches"] = {name: v for name, v in group["batches"].items() if not name.startswith("peak_")}
        entries = [(e["fullname"], e["params"], e["stats"]["rounds"]) for e in content["benchmarks"]]
        return content["slmsec"], [entry for entry in entries if ":generation" not in entry[0]]

    @property
    def gpus(self):
        return dict(line.split() for line in (self.path / "gpus").read_text().splitlines())

    @property
    def times_asked(self):
        return set(self.toy.asked.values())


@pytest.fixture
def shared(toy):
    return Shared(toy)


def test_two_workers_ask_nothing_twice_and_record_the_same(shared):
    shared.run("-p", "no:xdist", models=("alpha", "beta"))
    alone, asked = shared.record, shared.toy.asked
    result = shared.run("-n2", "--slmsec-window=8", models=("alpha", "beta"))
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 80, "wrong": 40}
    assert shared.toy.asked == asked
    assert shared.times_asked == {2}  # each item once by alpha and once by beta
    assert shared.record == alone


def test_one_window_of_one_model_is_shared_out(shared):
    shared.only(10)
    result = shared.run("-n2", "-v")
    assert result.parseoutcomes()["passed"] == 10
    assert len([line for line in result.outlines if line.startswith("[gw0]")]) == 5
    assert shared.times_asked == {1}


def test_more_workers_than_items(shared):
    shared.only(2)
    result = shared.run("-n3")
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 2}
    assert len(shared.toy.loads) == 2


def test_a_single_item(shared):
    shared.only(1)
    result = shared.run("-n2")
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 1}


def test_mixed_with_ordinary_tests(shared):
    shared.toy.pytester.makepyfile(test_ordinary=ORDINARY)
    result = shared.run("-n2", "--slmsec-window=16")
    assert result.parseoutcomes() == {"passed": 47, "wrong": 20}
    assert shared.times_asked == {1}


def test_without_a_model_xdist_distributes(shared):
    shared.toy.pytester.makepyfile(test_ordinary=ORDINARY)
    result = shared.run("-n2", "-v", models=())
    assert result.parseoutcomes() == {"passed": 7, "skipped": 2}
    result.stdout.fnmatch_lines(["scheduling tests via LoadScheduling"])


@pytest.mark.parametrize(("dist", "scheduler"), [("loadgroup", "UnitScheduling"), ("loadfile", "LoadFileScheduling")])
def test_another_way_of_distributing_is_kept_where_it_says_what_goes_together(shared, dist, scheduler):
    result = shared.run("-n2", f"--dist={dist}", "-v")
    result.stdout.fnmatch_lines([f"scheduling tests via {scheduler}"])
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    assert shared.times_asked == {1}


def test_the_first_failure_ends_the_run(shared):
    shared.only(200, asserted="not answer.item.id.endswith('-5')")
    result = shared.run("-n2", "-x", "--slmsec-window=10")
    assert result.ret == 2
    assert result.parseoutcomes()["failed"] == 1
    assert len(shared.toy.asked) < 200
    assert shared.times_asked == {1}


def test_what_a_crashed_worker_had_still_to_run_is_run_by_others(shared):
    shared.add_to_conftest(CRASH)
    result = shared.run("-n2", "--slmsec-window=8", "-v")
    assert result.ret == 1
    assert result.parseoutcomes() == {"passed": 39, "wrong": 20, "failed": 1}
    result.stdout.fnmatch_lines(
        ["*worker 'gw?' crashed while running 'test_hashes.py::test_hashes*alpha-hashes-00005*"]
    )
    asked = shared.toy.asked
    twice = {item for item, times in asked.items() if times > 1}
    assert len(asked) == 60
    assert twice == {f"hashes-{number:05d}" for number in (6, 7, 8)}  # asked and not yet reported when it crashed
    assert [group["benchmark"] for group in shared.record[0]["groups"]] == ["ports"]


def test_a_model_that_cannot_be_loaded_is_said_once_a_worker(shared):
    result = shared.run("-n2", models=("broken",))
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] + outcomes["skipped"] == 60
    assert outcomes["errors"] <= 2


def test_workers_of_auto_are_the_gpus_and_each_has_its_own(shared):
    shared.add_to_conftest(GPUS.format(n=2) + CRASH)
    result = shared.run("-nauto", "--slmsec-window=4")
    assert result.parseoutcomes() == {"passed": 39, "wrong": 20, "failed": 1}
    gpus = shared.gpus
    assert gpus["gw2"] in (gpus["gw0"], gpus["gw1"])  # that of the worker it stands for
    assert sorted((gpus["gw0"], gpus["gw1"])) == ["0", "1"]


def test_auto_is_one_process_where_there_are_not_several_gpus(shared):
    result = shared.run("-nauto", "-v")
    result.stdout.no_fnmatch_line("scheduling tests via*")
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}


def test_more_workers_than_gpus_are_warned_of(shared):
    shared.add_to_conftest(GPUS.format(n=1))
    result = shared.run("-n2")
    result.stdout.fnmatch_lines(["*SharedGpuWarning: 2 workers share 1 GPU: each loads every model it asks*"])
    assert shared.gpus == {"gw0": "0", "gw1": "0"}
    shared.run("-n2", "--slmsec-device=cpu").stdout.no_fnmatch_line("*SharedGpuWarning*")
