"""A base that always gives the same answer has nothing to lose: live, stored, in a plan, and where a run may stop."""

import json

import pytest
from gate_runs import BOTH

from pytest_slmsec.cli.compare import compare

SUITE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.baselines import modal_gold

ITEMS = [Item(f"ports-{n:05d}", f"{n} say: SAID", "yes" if n % 3 else "no") for n in range(1, SIZE + 1)]


@pytest.mark.slmsec(Task("ports", score_exact, ACCURACY, ITEMS, max_new_tokens=8, constant=modal_gold))
def test_ports(answer):
    pass
"""
ALWAYS_YES = "yes"
RIGHT = "{'yes' if n % 3 else 'no'}"


def write(runs, said, size=300):
    (runs.path / "test_ports.py").write_text(SUITE.replace("SAID", said).replace("SIZE", str(size)))


def judgement(runs):
    return json.loads((runs.path / "gate.json").read_text())["judgements"][0]


@pytest.mark.parametrize(("said", "verdict"), [(ALWAYS_YES, "INCONCLUSIVE"), (RIGHT, "PASS")])
def test_a_live_run(runs, said, verdict):
    write(runs, said)
    result = runs.run(*BOTH, "--slmsec-json=gate.json")
    found = judgement(runs)
    assert found["verdict"] == verdict
    assert list(found["uninformative"]) == (["ports"] if said == ALWAYS_YES else [])
    assert ("a PASS would mean nothing" in " ".join(result.stdout.str().split())) is (said == ALWAYS_YES)


def test_a_stored_base_is_tested_and_its_plan_says_so(runs):
    write(runs, ALWAYS_YES)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    items = json.loads((runs.path / "base.json").read_text())["slmsec"]["groups"][0]["items"]
    assert items["constant"][:3] == [1.0, 1.0, 0.0]
    stored = ("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    planned = runs.run(*stored, "--slmsec-plan").stdout.str()
    assert "alpha: ports is uninformative: the base (accuracy 66.7 %) is not shown" in " ".join(planned.split())
    runs.run(*stored, "--slmsec-json=gate.json", "--benchmark-json=candidate.json")
    live = judgement(runs)
    assert live["verdict"] == "INCONCLUSIVE"
    compare(
        str(runs.path / "base.json"), str(runs.path / "candidate.json"), runs.path, json_file=runs.path / "gate.json"
    )
    again = judgement(runs)
    assert [again[key] for key in ("verdict", "uninformative")] == [live[key] for key in ("verdict", "uninformative")]


def test_a_run_that_may_stop_early_does_not_stop_at_a_pass(runs):
    write(runs, ALWAYS_YES, size=500)
    (runs.path / "pyproject.toml").write_text('[tool.slmsec.gate]\nearly_stop = "obf"\nports = {max_drop = "9pt"}\n')
    runs.run(*BOTH, "--slmsec-json=gate.json")
    found = judgement(runs)
    assert (found["verdict"], found["early_stop"]["ports"]["saved"]) == ("INCONCLUSIVE", 0)
    write(runs, RIGHT, size=500)
    runs.run(*BOTH, "--slmsec-json=gate.json")
    found = judgement(runs)
    assert found["verdict"] == "PASS"
    assert found["early_stop"]["ports"]["saved"] > 0
