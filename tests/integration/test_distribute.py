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


class Shared:
    """Runs of the toy suite in several processes, and the record they leave."""

    def __init__(self, toy):
        self.toy, self.path = toy, toy.pytester.path

    def run(self, *args, **options):
        return self.toy.run("--benchmark-json=out.json", *args, subprocess=True, **options)

    @property
    def asked_once(self):
        return set(self.toy.asked.values()) == {1}

    def record(self):
        """Everything that is stored of each group, but for what was measured with a clock or a meter."""
        content = json.loads((self.path / "out.json").read_text())
        groups = {(g["benchmark"], g["model"]): g for g in content["slmsec"]["groups"]}
        entries = [e for e in content["benchmarks"] if ":error_rate" in e["name"] or ":latency" in e["name"]]
        return groups, {e["fullname"]: (e["stats"]["rounds"], e["params"]) for e in entries}


@pytest.fixture
def shared(toy):
    return Shared(toy)


def test_two_workers_ask_nothing_twice_and_record_the_same(shared):
    shared.run("-p", "no:xdist")
    alone, asked = shared.record(), shared.toy.asked
    result = shared.run("-n2", "--slmsec-window=8")
    assert result.parseoutcomes() == {"passed": 80, "wrong": 40}
    assert shared.toy.asked.keys() == asked.keys()
    assert set(shared.toy.asked.values()) == {2}  # each item by alpha and by beta
    assert shared.record() == alone
