"""The hook `pytest_slmsec_finished`: other plugins get what a run found, once."""

import json

import pytest

PAIR = ("alpha", "alpha-gptq4")
TELL = """
import json
from pathlib import Path

def pytest_slmsec_finished(config, record):
    with Path("told.jsonl").open("a") as file:
        file.write(json.dumps({"written": Path("out.json").exists(), **record}) + "\\n")
"""


@pytest.fixture
def told(toy):
    """The toy suite with a conftest that keeps what it is told: runs it, and returns the records."""
    with (toy.pytester.path / "conftest.py").open("a") as conftest:
        conftest.write(TELL)
    file = toy.pytester.path / "told.jsonl"

    def run(*args, **options):
        result = toy.run(*args, **options)
        assert result.ret == 0, result.stdout.str()
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    return run


def test_scores_costs_and_verdicts_without_pytest_benchmark(told):
    (record,) = told("-p", "no:benchmark", models=PAIR)
    scores = {(facts["benchmark"], facts["model"]): facts["score"] for facts in record["facts"]}
    assert scores == {(name, model): pytest.approx(2 / 3) for name in ("ports", "hashes") for model in PAIR}
    assert all(facts["decode_tokens_per_s"] > 0 for facts in record["facts"])
    (judgement,) = record["judgements"]
    assert (judgement["candidate"], judgement["base"], judgement["verdict"]) == (
        "alpha-gptq4", "alpha", "INCONCLUSIVE")  # fmt: skip
    assert record["exit_status"] == 0


def test_the_answers_are_those_of_the_file_that_is_written_by_then(told, toy):
    (record,) = told("--benchmark-json=out.json", "test_ports.py", models=("alpha",))
    content = json.loads((toy.pytester.path / "out.json").read_text())
    latency = next(entry for entry in content["benchmarks"] if entry["params"]["metric"] == "latency")
    assert record["written"]
    assert record["slmsec"] == content["slmsec"]
    assert record["facts"] == [{"benchmark": "ports", "model": "alpha", **latency["extra_info"]}]
    assert record["judgements"] == []
    batches = record["slmsec"]["groups"][0]["batches"]
    assert sum(batches["items"]) == 30
    assert max(batches["peak_rss_bytes"]) == record["facts"][0]["peak_rss_bytes"]
    assert all(value > 0 for value in batches["seconds"])


def test_of_several_processes_the_main_one_is_told(told):
    (record,) = told("-n2", models=("alpha",), subprocess=True)
    assert [facts["n_items"] for facts in record["facts"]] == [30, 30]


def test_where_nothing_was_measured_nobody_is_told(told):
    assert told("--collect-only", models=("alpha",)) == []
