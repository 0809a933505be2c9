"""The four verdicts and the record of a gate."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.result import Bounds, GateResult, Verdict, decide, three_way


def test_exit_codes():
    assert [v.exit_code for v in (Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR)] == [0, 1, 2, 3]


def test_the_gravest_verdict_wins():
    assert Verdict.worst([Verdict.PASS, Verdict.INCONCLUSIVE]) is Verdict.INCONCLUSIVE
    assert Verdict.worst([Verdict.FAIL, Verdict.INCONCLUSIVE]) is Verdict.FAIL
    assert Verdict.worst(Verdict) is Verdict.ERROR


def test_no_verdicts_are_not_a_pass():
    with pytest.raises(UsageError, match="no gate ran"):
        Verdict.worst([])


@pytest.mark.parametrize(
    ("bounds", "verdict"),
    [
        (Bounds(-0.01, 0.01), Verdict.PASS),
        (Bounds(0.03, 0.05), Verdict.FAIL),
        (Bounds(0.01, 0.03), Verdict.INCONCLUSIVE),
        (Bounds(None, None), Verdict.INCONCLUSIVE),
        (Bounds(0.03, None), Verdict.FAIL),
        (Bounds(None, 0.01), Verdict.PASS),
        (Bounds(0.02, 0.02), Verdict.INCONCLUSIVE),
    ],
)
def test_the_interval_decides_at_2_points(bounds, verdict):
    assert decide(bounds, 0.02) is verdict


@given(st.integers(1, 500), st.data())
def test_a_result_survives_json(n, data):
    lost = data.draw(st.integers(0, n))
    result = binary_gate(lost, data.draw(st.integers(0, n - lost)), n, 0.02)
    assert GateResult.from_json(json.loads(json.dumps(result.to_json(), allow_nan=False))) == result


def test_stored_results_that_were_edited_are_refused():
    stored = binary_gate(3, 2, 100, 0.02).to_json()
    with pytest.raises(CompareError, match="margin"):
        GateResult.from_json({k: v for k, v in stored.items() if k != "margin"})
    with pytest.raises(CompareError, match="no verdict"):
        GateResult.from_json({**stored, "verdict": "FINE"})
    with pytest.raises(CompareError, match="not a finite number"):
        GateResult.from_json({**stored, "upper": math.nan})


def test_a_fail_that_was_shown_comes_before_a_pass():
    assert three_way(True, True) is three_way(True, False) is Verdict.FAIL
    assert three_way(False, True) is Verdict.PASS
    assert three_way(False, False) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["estimate", "lower", "upper", "margin", "p_fail", "scale"])
def test_no_number_of_a_result_is_endless(name):
    stored = binary_gate(3, 2, 100, 0.02).to_json()
    with pytest.raises(CompareError, match=f"Gate 'binary': {name} is inf, not a finite number; give None instead"):
        GateResult.from_json({**stored, name: math.inf})


def test_keys_that_are_not_known_are_named():
    stored = binary_gate(3, 2, 100, 0.02).to_json()
    renamed = {("colour" if key == "margin" else key): value for key, value in stored.items()}
    with pytest.raises(CompareError, match=r"missing or unknown keys: colour, margin\. Measure it again"):
        GateResult.from_json(renamed)
