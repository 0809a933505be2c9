"""A toy suite for inner test runs: two benchmarks of 30 items, every third answered wrongly, two free models."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
import rich.progress
import rich.table  # noqa: F401  an inner run would drop these afterwards, and the next mix old and new parts of them
from gate_runs import runs  # noqa: F401

TESTS = str(Path(__file__).parent.parent)
ROOT = str(Path(__file__).parent.parent.parent)
CONFTEST = """
from free_engine import FreeEngine

def pytest_slmsec_models(config):
    return {name: {"location": "/nowhere"} for name in ("alpha", "beta", "broken")}

def pytest_slmsec_make_engine(config, spec, settings):
    if spec.base == "broken":
        from pytest_slmsec.core.errors import ModelError
        raise ModelError("broken: the directory /nowhere holds no config.json")
    return FreeEngine(spec)
"""
SUITE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [
    Item(f"{name}-{{n:05d}}", f"{name} {{n}} say: {{'yes' if n % 3 else 'no'}}", "yes") for n in range(1, 31)
]

@pytest.mark.slmsec(Task("{name}", score_exact, ACCURACY, ITEMS, max_new_tokens=8))
def test_{name}(answer):
    assert answer.parsed
"""


class Toy:
    """An inner test run, and what its engine was asked."""

    def __init__(self, pytester, log):
        self.pytester, self.log = pytester, log

    def run(self, *args, models=("alpha", "beta"), subprocess=False):
        self.log.unlink(missing_ok=True)
        named = [f"--model={name}" for name in models]
        runner = self.pytester.runpytest_subprocess if subprocess else self.pytester.runpytest_inprocess
        return runner("-p", "no:randomly", "-p", "no:rerunfailures", *named, *args)

    def notes(self):
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []

    @property
    def loads(self):
        return [note["load"] for note in self.notes() if "load" in note]

    @property
    def asked(self):
        return Counter(item for note in self.notes() for item in note.get("ask", ()))


@pytest.fixture(autouse=True)
def outermost(monkeypatch):
    """An inner test run is no worker of xdist, even where the outer one is."""
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def toy(pytester, monkeypatch):
    """The toy suite in an empty directory."""
    log = pytester.path / "engine.log"
    monkeypatch.setenv("FREE_ENGINE_LOG", str(log))
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, ROOT]))
    pytester.makeconftest(CONFTEST)
    for name in ("ports", "hashes"):
        pytester.makepyfile(**{f"test_{name}": SUITE.replace("{name}", name).replace("{{", "{").replace("}}", "}")})
    return Toy(pytester, log)
