"""The gate on a gain is the gate on a drop from the other side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.gates.statistics.gain import shifted, turned
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.result import GAIN, Verdict


def gain(lost, gained, n, asked=0.20):
    return turned(binary_gate(gained, lost, n, asked))


@pytest.mark.parametrize(
    ("lost", "gained", "verdict"),
    [
        (0, 60, Verdict.PASS),  # 60 points, 20 are asked for
        (0, 0, Verdict.FAIL),  # an adapter that changes nothing
        (0, 20, Verdict.INCONCLUSIVE),  # just what is asked for
        (30, 0, Verdict.FAIL),  # worse than its base
    ],
)
def test_verdicts_on_100_items(lost, gained, verdict):
    assert gain(lost, gained, 100).verdict is verdict


@given(st.integers(30, 400), st.data())
def test_drop_bounds_and_counts_are_those_of_the_gate_on_a_drop(n, data):
    lost = data.draw(st.integers(0, n))
    gained = data.draw(st.integers(0, n - lost))
    found, drop = gain(lost, gained, n), binary_gate(lost, gained, n, 0.02)
    assert found.estimate == pytest.approx(drop.estimate)
    assert (found.details["lost"], found.details["gained"]) == (lost, gained)
    assert (found.margin, found.details[GAIN]) == (-0.20, 0.20)
    if found.verdict is Verdict.PASS:
        assert -found.upper >= 0.20 - 1e-9
    if found.verdict is Verdict.FAIL:
        assert -found.lower <= 0.20 + 1e-9
        assert found.p_fail <= 0.05 + 1e-9


def test_a_real_valued_score_is_shifted_and_back():
    better = [0.3 + 0.1 * (-1) ** row for row in range(400)]
    limit = 0.2
    raised = real_gate([value - 2 * limit for value in better], limit, 1 + 2 * limit)
    found = shifted(raised, limit)
    assert found.verdict is Verdict.PASS
    assert found.estimate == pytest.approx(-0.3)
    assert -found.upper == pytest.approx(0.29, abs=0.02)
    assert found.scale == pytest.approx(1.0)
    assert shifted(real_gate([-2 * limit] * 400, limit, 1 + 2 * limit), limit).verdict is Verdict.FAIL
