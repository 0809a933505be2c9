"""Losses by category, the gate on the worst of them, and the gate on a gain."""

from datetime import date

import pytest
from benchmark_runs import run

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.explanations import sentence
from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.gate.text import report

WORST = "worst category"
PER_CATEGORY = 40
TODAY = date(2026, 11, 21)


def judged(base, candidate, config=None):
    return judge([base], [candidate], config or gate(), TODAY)


def quantised(right):
    return run(right, model="phi3-gptq4", quant="gptq4")


def in_categories(made, per_category=PER_CATEGORY):
    made.columns["category"] = [f"T{1000 + row // per_category}" for row in range(made.n)]
    return made


def gate(**table):
    return read_config(table, "[gate]")


# 14 techniques of 40 items. The candidate loses all of one, and wins 3 of each other: 39 lost, 39 won.
BEFORE = ("0" * 3 + "1" * 37) * 13 + "1" * 39 + "0"
AFTER = "1" * 40 * 13 + "0" * 40


def test_one_technique_collapses_and_the_mean_is_unchanged():
    assert BEFORE.count("1") == AFTER.count("1")
    base, candidate = in_categories(run(BEFORE)), in_categories(quantised(AFTER))
    assert judged(base, candidate, gate(**{"cti-mcq": {"max_drop": "5pt"}})).verdict is Verdict.PASS
    found = judged(base, candidate, gate(worst_group={"max_drop": "10pt"}, **{"cti-mcq": {"max_drop": "5pt"}}))
    assert found.verdict is Verdict.FAIL
    worst = next(one for one in found.gates if one.what == WORST)
    assert worst.result.details == {"worst": "T1013", "worst_items": 40, "categories": 14}
    assert (worst.base, worst.candidate) == (pytest.approx(39 / 40), 0.0)
    text = report(found)
    assert "cti-mcq by category, most lost first" in text
    assert next(line.split() for line in text.splitlines() if "T1013" in line) == ["T1013", "40", "97.5", "0.0", "39/0"]
    assert "The worst of 14 categories" in " ".join(text.split())
    assert found.to_json()["categories"]["cti-mcq"][0] == {
        "category": "T1013", "items": 40, "base": pytest.approx(39 / 40), "candidate": 0.0, "lost": 39, "gained": 0,
    }  # fmt: skip


def test_without_a_request_losses_are_shown_only_where_asked_for():
    found = judged(in_categories(run(BEFORE)), in_categories(quantised(AFTER)))
    assert "by category" not in report(found)
    assert "by category" in report(found, verbose=True)
    assert WORST not in {one.what for one in found.gates}


def test_an_unchanged_candidate_passes():
    base = in_categories(run("1110" * 140))
    found = judged(base, in_categories(quantised("1110" * 140)), gate(worst_group={"max_drop": "10pt"}))
    assert next(one for one in found.gates if one.what == WORST).result.verdict is Verdict.PASS
    assert found.verdict is Verdict.PASS


def test_small_categories_cannot_be_judged():
    base, candidate = in_categories(run(BEFORE), 20), in_categories(quantised(AFTER), 20)
    whole = judged(base, candidate, gate(worst_group={"max_drop": "10pt"}, **{"cti-mcq": {"max_drop": "5pt"}}))
    worst = next(one for one in whole.gates if one.what == WORST)
    assert (worst.result.verdict, worst.advisory, whole.verdict) == (Verdict.INCONCLUSIVE, True, Verdict.PASS)
    asked = judged(base, candidate, gate(**{"cti-mcq": {"max_drop": "5pt", "worst_group": "10pt"}}))
    assert asked.verdict is Verdict.INCONCLUSIVE
    assert "No category of cti-mcq has 30 items" in " ".join(report(asked).split())


def test_a_gain_that_was_asked_for():
    asked = gate(**{"cti-mcq": {"min_gain": "20pt"}})
    base, tuned = run("0" * 300 + "1" * 100), run("1" * 400, model="phi3+soc", adapter="soc")
    found = judged(base, tuned, asked)
    assert found.verdict is Verdict.PASS
    assert [one.what for one in found.gates][:2] == ["accuracy", "parse rate"]
    assert "gains at least" in sentence(found.gates[0].result)
    same = run("0" * 300 + "1" * 100, model="phi3+soc", adapter="soc")
    none = judged(base, same, asked)
    assert none.verdict is Verdict.FAIL
    assert none.suite.reasons == ("cti-mcq accuracy: the gain is below what is asked for.",)
    assert "gains at most" in sentence(none.gates[0].result)


def test_a_gain_makes_up_for_no_drop_elsewhere():
    learnt = [run("0" * 400), run("1" * 400, model="phi3+soc")]
    other = {"benchmark": "cti-rcm", "task": "cti-rcm"}
    forgot = [run("1" * 400, **other), run("1" * 360 + "0" * 40, model="phi3+soc", **other)]
    config = gate(**{"cti-mcq": {"min_gain": "20pt"}})
    found = judge([learnt[0], forgot[0]], [learnt[1], forgot[1]], config, TODAY)
    assert found.verdict is Verdict.FAIL
    assert found.suite.macro == pytest.approx(0.1)


def test_a_gain_and_a_tolerated_drop_exclude_each_other():
    config = gate(**{"cti-mcq": {"min_gain": "20pt", "max_drop": "2pt"}})
    with pytest.raises(UsageError, match="leave out max_drop"):
        judged(run("10" * 100), quantised("10" * 100), config)
