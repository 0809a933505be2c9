"""A base that is no better than a constant answer: its benchmark can FAIL, but it never makes a PASS."""

from datetime import date

import pytest
from benchmark_runs import plain, run
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.gates.decision.combine import early_verdict
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.informative import base_test
from pytest_slmsec.gates.decision.methods import Method
from pytest_slmsec.gates.decision.score_gates import score_gates
from pytest_slmsec.gates.policy.config import GateConfig, read_config
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.gates.records.comparability import pair
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.gate.markdown import markdown
from pytest_slmsec.reports.gate.text import report

TODAY = date(2026, 11, 26)
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE
N = 400


def sides(right, candidate, constant, **options):
    """Base and candidate of a benchmark whose constant answer is right where `constant` has a 1."""
    made = []
    for bits, names in ((right, {}), (candidate, {"model": "phi3-gptq4", "quant": "gptq4"})):
        one = run(bits, **names, **options)
        one.facts["constant"] = {"answer": "C", "value": constant.count("1") / len(constant)}
        one.columns["constant"][:] = [float(bit) for bit in constant]
        made.append(one)
    return made


def judged(*pairs, config=None):
    bases, candidates = zip(*pairs, strict=True)
    return judge(bases, candidates, config or read_config({}, "[gate]"), TODAY)


ALWAYS_A = "100000" * 67
"""A base that says the same letter to all of 402 items and is right on every sixth."""
ALWAYS_C = "011000" * 67
GOOD = "111100" * 67


def test_a_base_that_always_says_the_same_letter_cannot_pass():
    found = judged(sides(ALWAYS_A, ALWAYS_A, ALWAYS_C))
    assert found.verdict is INCONCLUSIVE
    assert found.suite.reasons == (
        "cti-mcq is uninformative: the base (accuracy 16.7 %) is not shown to be better than the best constant answer, "
        "'C' (33.3 %), so it has nothing to lose and a PASS would mean nothing.",
    )
    assert found.verdicts["cti-mcq accuracy"] is found.gates[0].result.verdict is INCONCLUSIVE


def test_the_base_that_is_the_best_constant_answer_cannot_pass():
    assert judged(sides(ALWAYS_C, ALWAYS_C, ALWAYS_C)).verdict is INCONCLUSIVE


def test_a_base_that_knows_more_than_the_constant_answer_passes():
    found = judged(sides(GOOD, GOOD, ALWAYS_C))
    assert found.verdict is PASS
    assert found.uninformative == {}
    assert found.gates[0].base_test.lower > 0.2


def test_an_uninformative_benchmark_can_still_fail():
    worse = "000000" * 67
    found = judged(sides(ALWAYS_A, worse, ALWAYS_C))
    assert found.verdict is found.verdicts["cti-mcq accuracy"] is FAIL


def test_it_is_said_in_text_markdown_and_json():
    found = judged(sides(ALWAYS_A, ALWAYS_A, ALWAYS_C))
    text = " ".join(report(found).split())
    assert "cti-mcq, 402 items, uninformative" in text
    assert "a PASS would mean nothing" in text
    assert "too small to tell" not in text  # more items would not help
    assert "cti\\-mcq, uninformative" in markdown([found], [])
    data = found.to_json()
    assert list(data["uninformative"]) == ["cti-mcq"]
    gate = data["gates"][0]
    assert (gate["verdict"], gate["base_test"]["informative"]) == ("INCONCLUSIVE", False)
    assert gate["base_test"]["reference"] == "the best constant answer, 'C'"


def test_a_suite_in_which_nothing_else_decides_is_inconclusive_with_that_sentence():
    names = ("one", "two")
    found = judged(*(sides(ALWAYS_A, ALWAYS_A, ALWAYS_C, benchmark=name) for name in names))
    assert found.verdict is INCONCLUSIVE
    assert [reason.partition(":")[0] for reason in found.suite.reasons] == [f"{n} is uninformative" for n in names]
    assert found.suite.macro is None


def test_an_uninformative_benchmark_does_not_dilute_the_drop_of_another():
    worse = GOOD.replace("111100", "111000", 12)  # 12 of 402 lost: the upper bound of the drop is above 2 points
    real = sides(GOOD, worse, ALWAYS_C, benchmark="real")
    empty = [sides(ALWAYS_A, ALWAYS_A, ALWAYS_C, benchmark=f"empty-{row}") for row in range(6)]
    found = judged(real, *empty)
    alone = judged(real, sides(GOOD, GOOD, ALWAYS_C, benchmark="good"))
    assert found.suite.macro == pytest.approx(12 / 402)
    assert alone.suite.macro == pytest.approx(6 / 402)
    assert found.verdict is INCONCLUSIVE


def test_beside_an_informative_benchmark_the_suite_may_pass():
    found = judged(sides(GOOD, GOOD, ALWAYS_C, benchmark="good"), sides(ALWAYS_A, ALWAYS_A, ALWAYS_C, benchmark="bad"))
    assert found.verdict is PASS
    assert list(found.uninformative) == ["bad"]
    assert found.verdicts["bad accuracy"] is INCONCLUSIVE


def test_an_uninformative_benchmark_with_a_limit_of_its_own_keeps_the_suite_from_pass_with_that_sentence():
    config = read_config({"bad": {"max_drop": "9pt"}}, "[gate]")
    runs = sides(GOOD, GOOD, ALWAYS_C, benchmark="good"), sides(ALWAYS_A, ALWAYS_A, ALWAYS_C, benchmark="bad")
    found = judged(*runs, config=config)
    assert found.verdict is INCONCLUSIVE
    assert [reason.partition(":")[0] for reason in found.suite.reasons] == ["bad is uninformative"]


def test_a_look_never_passes_an_uninformative_benchmark():
    gates = [score_gates(pair(*sides(base, base, ALWAYS_C)), GateConfig()) for base in (ALWAYS_A, GOOD)]
    assert [early_verdict(one, 1) for one in gates] == [None, PASS]
    failing = score_gates(pair(*sides(ALWAYS_A, "000000" * 67, ALWAYS_C)), GateConfig())
    assert early_verdict(failing, 1) is FAIL


def test_few_items_are_the_reason_where_the_base_is_better_on_them():
    found = judged(sides("1100" * 5, "1100" * 5, "0110" * 5))
    assert found.uninformative  # no better than the constant answer: says so, whatever the number of items
    right = "0110" * 4 + "1110"
    better = judged(sides(right, right, "0110" * 5))
    assert better.uninformative == {}
    assert better.gates[0].base_test.informative is False
    assert better.verdict is INCONCLUSIVE


def with_probabilities(runs, probability, options=4):
    for one in runs:
        one.facts["by_choice"] = True
        one.columns["logprobs"][:] = [[-1.0] * options] * one.n
        one.columns["parts"][:] = [{"p_correct": probability(row)} for row in range(one.n)]
    return runs


@pytest.mark.parametrize(("center", "verdict"), [(0.25, INCONCLUSIVE), (0.15, INCONCLUSIVE), (0.45, PASS)])
def test_the_probability_of_the_right_option_is_compared_with_chance(center, verdict):
    runs = with_probabilities(sides(GOOD, GOOD, ALWAYS_C), lambda row: center + (row % 11 - 5) / 60)
    found = judged(runs)
    assert found.gates[0].what == "p_correct"
    assert found.verdict is verdict
    assert (found.gates[0].base_test.reference, found.gates[0].base_test.reference_score) == ("chance", 0.25)


def test_a_base_that_is_sure_of_the_letter_that_is_often_right_knows_nothing():
    # Right where C is right: its probability of the right option is above chance, its accuracy that of the constant.
    runs = with_probabilities(sides(ALWAYS_C, ALWAYS_C, ALWAYS_C), lambda row: 0.85 if ALWAYS_C[row] == "1" else 0.05)
    found = judged(runs)
    assert found.verdict is INCONCLUSIVE
    assert "best constant answer" in found.suite.reasons[0]


def deviations(runs, base, constant):
    for one in runs:
        one.facts.update(metric="MAD", scale=10.0, higher_is_better=False, score=None, mode="official")
        one.columns["value"][:] = base
        one.columns["constant"][:] = constant
    return runs


@pytest.mark.parametrize(("base", "verdict"), [(1.0, PASS), (2.0, INCONCLUSIVE), (3.0, INCONCLUSIVE)])
def test_deviations_are_compared_with_the_best_constant_score(base, verdict):
    spread = [base + (row % 7 - 3) / 10 for row in range(N)]
    runs = deviations(sides("0" * N, "0" * N, "0" * N), spread, [2.0 + (row % 5 - 2) / 10 for row in range(N)])
    found = judged(runs)
    assert found.gates[0].what == "MAD"
    assert found.verdict is verdict


def test_an_item_that_is_not_counted_makes_no_difference():
    runs = sides(GOOD, GOOD, ALWAYS_C)
    whole = base_test(runs[0], "accuracy", Method(GateConfig(), 402))
    runs[0].columns["constant"][:6] = [None] * 6
    part = base_test(runs[0], "accuracy", Method(GateConfig(), 402))
    assert part.base_score == whole.base_score
    assert 0 < whole.advantage - part.advantage < 0.02


def test_a_constant_answer_that_is_right_on_every_item_is_no_reference():
    assert base_test(sides(GOOD, GOOD, "1" * 402)[0], "accuracy", Method(GateConfig(), 402)) is None


def test_it_is_said_that_nothing_can_be_better_than_a_faultless_constant_answer():
    runs = sides(GOOD, GOOD, "1" * 402)
    runs[0].columns["constant"][:3] = [None] * 3  # items that are not counted make no difference
    found = judged(runs)
    assert found.verdict is PASS
    assert found.warnings == (
        "cti-mcq: its best constant answer is right on every item, so no base can be shown to be better; a PASS is "
        "taken as it stands.",
    )


def f1_scores(runs, base, constant):
    for one in runs:
        one.facts.update(metric="F1", scale=1.0, higher_is_better=True, score=None, mode="official", binary=False)
        one.columns["value"][:] = base
        one.columns["constant"][:] = constant
    return runs


@pytest.mark.parametrize(("ahead", "verdict"), [(0.2, PASS), (0.0, INCONCLUSIVE), (-0.1, INCONCLUSIVE)])
def test_f1_is_compared_with_the_best_constant_answer(ahead, verdict):
    constant = [0.3 + (row % 5 - 2) / 20 for row in range(N)]
    base = [score + ahead + (row % 7 - 3) / 30 for row, score in enumerate(constant)]
    found = judged(f1_scores(sides("0" * N, "0" * N, "0" * N), base, constant))
    assert found.gates[0].what == "F1"
    assert found.verdict is verdict


def old_record(right, gold, answer, value):
    facts, group = plain(right, constant={"answer": answer, "value": value})
    del group["items"]["constant"]
    group["items"]["gold"] = list(gold)
    return run_from_plain(facts, group, {}, "run.json")


def test_an_older_record_is_tested_by_its_gold_answers():
    gold = "ABBCDA" * 67
    old = old_record("100001" * 67, gold, "B", 1 / 3)
    assert old.columns["constant"][:6] == [0.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    tested = base_test(old, "accuracy", Method(GateConfig(), 402))
    assert (tested.reference_score, tested.informative) == (pytest.approx(1 / 3), False)


@pytest.mark.parametrize(("answer", "value"), [("Yes", 0.0), ("B", 0.5)])
def test_where_the_gold_answers_do_not_say_it_is_not_tested_and_said(answer, value):
    base = old_record(GOOD, "ABBCDA" * 67, answer, value)
    assert "constant" not in base.columns
    candidate = old_record(GOOD, "ABBCDA" * 67, answer, value)
    candidate.facts.update(quant="gptq4")
    found = judge([base], [candidate], read_config({}, "[gate]"), TODAY)
    assert found.verdict is PASS
    assert found.warnings == (
        "cti-mcq: the record holds no constant answer that the base could be compared with; a PASS is taken as it "
        "stands.",
    )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=140, max_size=400))
def test_an_unchanged_model_passes_only_above_the_constant_answer(rows):
    right, constant = ("".join("01"[row[side]] for row in rows) for side in range(2))
    found = judged(sides(right, right, constant))
    if right.count("1") <= constant.count("1"):
        assert found.verdict is INCONCLUSIVE
    assert (found.verdict is PASS) == (found.gates[0].base_test.informative)
