"""Inner test runs with a gate: a suite of any size, and a candidate that loses every k-th answer."""

import numpy  # noqa: F401  -- inner runs in this process import it otherwise once each
import pytest
import scipy.stats  # noqa: F401

CONFTEST = """
import os
from dataclasses import replace
from free_engine import FreeEngine

class Lossy(FreeEngine):
    # a gptq4 model loses every k-th item, k from the environment
    def __init__(self, spec):
        super().__init__(spec)
        self.quant = spec.quant
        self.every = int(os.environ.get("LOSES_EVERY", 0)) if spec.quant == "gptq4" else 0

    def answer(self, request, prompt):
        output = super().answer(request, prompt)
        number = int(request.id.rpartition("-")[2])
        return replace(output, text="no") if self.every and number % self.every == 0 else output

    def run(self, requests):
        batch = super().run(requests)
        slower = float(os.environ.get("SLOWER", 1)) if self.quant == "gptq4" else 1
        return replace(batch, timing=replace(batch.timing, decode_s=batch.timing.decode_s * slower))

def pytest_slmsec_models(config):
    return {name: {"location": "/nowhere"} for name in ("alpha", "beta")}

def pytest_slmsec_make_engine(config, spec, settings):
    return Lossy(spec)
"""
SUITE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

ITEMS = [
    Item(f"NAME-{n:05d}", f"NAME {n} say: {'yes' if n % 4 else 'no'}", "GOLD") for n in range(1, SIZE + 1)
]

MARK
@pytest.mark.slmsec(Task("NAME", score_exact, ACCURACY, ITEMS, max_new_tokens=8))
def test_NAME(answer):
    pass
"""
BOTH = ("--model=alpha", "--model=alpha-gptq4")


class Runs:
    """Inner test runs over benchmarks of any size."""

    def __init__(self, pytester, monkeypatch):
        self.pytester, self.monkeypatch, self.path = pytester, monkeypatch, pytester.path

    def suite(self, size, name="ports", gold="yes", mark=""):
        text = SUITE.replace("NAME", name).replace("SIZE", str(size)).replace("GOLD", gold).replace("MARK", mark)
        self.pytester.makepyfile(**{f"test_{name}": text})

    def loses(self, every):
        self.monkeypatch.setenv("LOSES_EVERY", str(every))

    def run(self, *args, subprocess=False):
        runner = self.pytester.runpytest_subprocess if subprocess else self.pytester.runpytest_inprocess
        return runner("-p", "no:randomly", "-p", "no:rerunfailures", "-q", *args)


@pytest.fixture
def runs(pytester, monkeypatch, toy):
    for old in pytester.path.glob("test_*.py"):
        old.unlink()
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    pytester.makeconftest(CONFTEST)
    return Runs(pytester, monkeypatch)


def gates(result):
    """Counts of the outcomes, those of the items left out; one gate that passed is counted among gates."""
    counts = {"gates" if key == "gate" else key: n for key, n in result.parseoutcomes().items()}
    return {key: n for key, n in counts.items() if key not in ("passed", "wrong", "warnings", "warning")}


PAIR = """
@pytest.mark.slmsec_gate(Task("NAME", score_exact, ACCURACY, ITEMS, max_new_tokens=8), KEYS)
def test_not_worse(slm_pair):
    BODY
"""


def pair(runs, size, keys="max_drop='2pt'", body="slm_pair.run()", alone=True):
    """A test file with a pair on a benchmark of its own; with ``alone`` its items are asked for nothing else."""
    head, _, _ = SUITE.partition("MARK")
    text = (head + PAIR if alone else SUITE + PAIR).replace("KEYS", keys).replace("BODY", body)
    text = text.replace("NAME", "ports").replace("SIZE", str(size)).replace("GOLD", "yes").replace("MARK", "")
    (runs.path / "test_pair.py").write_text(text)
