"""A benchmark that a model cannot be asked: skipped with the reason, never scored, and named at the end."""

import json
import re

import pytest

CONFTEST = """
from free_engine import FreeEngine
from pytest_slmsec.engines.common.base import Capability

class Ranker(FreeEngine):
    capabilities = Capability.OPTIONS

    def answer(self, request, prompt):
        from pytest_slmsec.core.items import Output
        return Output(choice_scores=(0.25, 0.5), prompt_tokens=10)

def pytest_slmsec_models(config):
    known = {name: {"location": "/nowhere"} for name in ("alpha", "ranker")}
    return known | {"encoder": {"location": "/nowhere", "engine": "encoders"}}

def pytest_slmsec_make_engine(config, spec, settings):
    return FreeEngine(spec) if spec.base == "alpha" else Ranker(spec)
"""
CHOICE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.scoring.option_logprob import score_option

def items(name, **texts):
    return [Item(f"{name}-{n:05d}", f"{name} {n}?", "B", choices=("A", "B"), labels=("A", "B"), **texts)
            for n in range(1, 11)]

@pytest.mark.slmsec(Task("ranked", score_option, ACCURACY, items("ranked", question="?", options=("no", "yes")),
                         max_new_tokens=0))
def test_ranked(answer):
    assert set(answer.choice_scores) == {"A", "B"}

@pytest.mark.slmsec(Task("lettered", score_option, ACCURACY, items("lettered"), max_new_tokens=0))
def test_lettered(answer):
    assert answer.logprobs
"""


@pytest.fixture
def suite(toy):
    toy.pytester.makeconftest(CONFTEST)
    toy.pytester.makepyfile(test_choice=CHOICE)
    return toy


def test_what_a_model_turns_out_to_be_unable_to_do_is_skipped(suite):
    result = suite.run("-rs", models=("alpha", "ranker"))
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 40 + 10, "wrong": 20 + 20, "skipped": 70}
    result.stdout.fnmatch_lines(["SKIPPED *ranker was not asked ports: it generates no text."])
    result.stdout.fnmatch_lines(["*ranker was not asked lettered: it compares texts, and this benchmark gives no *"])
    assert suite.loads == ["alpha", "ranker"]
    assert suite.asked["ports-00001"] == 1
    assert suite.asked["ranked-00001"] == 2


def test_it_is_named_in_the_summary_and_in_no_table_and_no_entry(suite):
    result = suite.run("--benchmark-json=out.json", models=("ranker",))
    lines = result.stdout.lines
    assert "ranker was not asked hashes, ports: it generates no text." in lines
    scored = [line.split() for line in lines if re.match(r"\w+ +10 .* %", line)]
    assert [(words[0], words[1], words[-5:-3]) for words in scored] == [("ranked", "10", ["100.0", "%"])]
    entries = json.loads((suite.pytester.path / "out.json").read_text())["benchmarks"]
    assert {entry["params"]["benchmark"] for entry in entries} == {"ranked"}


def test_a_model_known_to_generate_nothing_is_one_skip_a_benchmark_at_collection(suite):
    result = suite.run(models=("encoder",))
    assert result.parseoutcomes() == {"passed": 10, "skipped": 2 + 10}
    assert "encoder was not asked hashes, ports: it generates no text." in result.stdout.lines
    collected = suite.run("--collect-only", "-q", models=("encoder",)).stdout.str()
    assert "test_ports.py::test_ports[encoder-no-text]" in collected


def test_a_run_of_nothing_but_skips_still_says_why(suite):
    result = suite.run("test_ports.py", models=("ranker",))
    assert result.parseoutcomes() == {"skipped": 30}
    assert "ranker was not asked ports: it generates no text." in result.stdout.lines


def test_the_reasons_cross_process_borders(suite):
    pytest.importorskip("xdist")
    result = suite.run("-n2", "--dist=loadfile", models=("ranker", "encoder"), subprocess=True)
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 20, "skipped": 60 + 2 + 20}
    said = [line for line in result.stdout.lines if "was not asked" in line]
    assert len([line for line in said if line.startswith("ranker")]) == 2
    assert [line for line in said if "generates no text" in line and line.startswith("encoder")]
