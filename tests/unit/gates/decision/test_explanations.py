"""Verdicts in plain words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.gates.decision.explanations import in_runs, sentence
from pytest_slmsec.gates.statistics.kl_bound import fidelity_gate
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.paired_throughput import advisory_throughput, throughput_gate
from pytest_slmsec.gates.statistics.size_threshold import MIB, memory_gate, size_gate


def test_pass():
    assert sentence(binary_gate(61, 52, 2500, 0.02), "CTI-MCQ") == (
        "We are 95 % sure that on CTI-MCQ the candidate is worse by up to 1.1 points, not more; you allowed 2 points."
    )


def test_pass_of_a_better_model():
    assert "better by at least 4.0 points" in sentence(binary_gate(0, 50, 1000, 0.02))


def test_fail():
    assert sentence(binary_gate(92, 31, 1000, 0.02), "CTI-RCM") == (
        "On CTI-RCM the candidate lost 92 answers and won back 31 of 1,000. We are 95 % sure that on CTI-RCM the "
        "candidate is worse by at least 4.3 points; you allowed 2 points. If it were really at most 2 points worse, a "
        "gap this big would turn up in about 1 of 10,000 runs."
    )


def test_inconclusive_needs_more_items():
    assert sentence(binary_gate(11, 9, 378, 0.02), "MMLU") == (
        "On MMLU the candidate may be worse by up to 2.6 points, or better by up to 1.5 points; the limit is 2 points. "
        "It has 378 items and needs about 1,512, if 5.3 % of the answers change and the drop stays 0.5 points; or "
        "allow a larger limit. The largest limit these data do prove is 2.6 points. Leaning PASS."
    )


def test_inconclusive_close_to_the_limit():
    said = sentence(binary_gate(82, 61, 1319, 0.02), "GSM8K")
    assert "close to the limit itself; more items will not help soon" in said
    assert "worse by up to 3.1 points, and at least 0.1 points" in said


def test_inconclusive_below_the_floor():
    assert "50 items are below the floor of 133" in sentence(binary_gate(3, 2, 50, 0.02))


def test_cost_gates():
    assert sentence(memory_gate([1000 * MIB] * 2, [500 * MIB] * 2)) == (
        "memory: 50.0 % better; you allowed up to 3.6 % worse."
    )
    assert "twice" in sentence(memory_gate([1000 * MIB], [500 * MIB]))
    assert "broken" in sentence(memory_gate([1000 * MIB] * 2, [500 * MIB, 600 * MIB]))
    assert "50.0 % worse" in sentence(size_gate(150, 100))
    assert "Advisory only" in sentence(advisory_throughput(100, 90))


def test_a_speed_is_told_in_tokens_and_its_limit_in_both_ways():
    assert sentence(throughput_gate([math.log(2)] * 20), "tokens/s") == (
        "We are 95 % sure that on tokens/s the candidate is worse by at least 50.0 %; you allowed 4.76 %. If it were "
        "really at most 4.76 % worse, a gap this big would turn up in fewer than 1 of 1,000,000 runs. The limit is 5 % "
        "more time a token, which is 4.76 % fewer tokens/s."
    )
    assert "the candidate is better by at least 200.0 %." in sentence(throughput_gate([-math.log(3)] * 20))
    assert "The measured change is 75.0 % fewer tokens/s." in sentence(advisory_throughput(100, 25))
    assert "The measured change is 100.0 % more tokens/s." in sentence(advisory_throughput(100, 200))


@given(st.floats(0.01, 1e6))
def test_nobody_loses_more_than_all_of_the_speed(candidate):
    lost = sentence(advisory_throughput(1e5, candidate)).partition("The measured change is ")[2]
    assert 0 <= float(lost.split()[0]) <= 100 or "more tokens/s" in lost


def test_other_units():
    assert "CVSS points" in sentence(real_gate([0.0] * 300, 0.10, 10.0, unit="CVSS points"))
    assert "0.05 nats/token" in sentence(fidelity_gate([0.5] * 30, 0.05))
    assert "needs 20" in sentence(fidelity_gate([0.5] * 3, 0.05))


@pytest.mark.parametrize(
    ("p", "words"),
    [(0.5, "about 5 of 10 runs"), (0.039, "about 1 of 30 runs"), (1e-9, "fewer than 1 of 1,000,000 runs")],
)
def test_probabilities_as_runs(p, words):
    assert in_runs(p) == words


@given(st.integers(1, 3000), st.data())
def test_no_sentence_claims_equality(n, data):
    lost = data.draw(st.integers(0, n))
    said = sentence(binary_gate(lost, data.draw(st.integers(0, n - lost)), n, 0.02))
    assert "no difference" not in said
    assert "-0.0" not in said
    assert said.endswith(".")
