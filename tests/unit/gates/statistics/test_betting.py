"""Early stopping by betting, and that a stored prefix gives the same verdict."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.betting import (
    BETS,
    anytime_binary_gate,
    anytime_real_gate,
    benchmark_gate,
    hybrid_gate,
)
from pytest_slmsec.gates.statistics.result import Verdict

OUTCOMES = st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=1, max_size=200)


def counts(outcomes) -> tuple[int, int, int]:
    return outcomes.count(-1.0), outcomes.count(1.0), len(outcomes)


@given(st.floats(0.001, 0.5), st.floats(0.0, 0.4))
def test_every_bet_is_fair_under_the_hypothesis(margin, churn):
    # Outcomes -1, 0, 1 with mean exactly -margin: each bet's expected wealth after one item is 1.
    p_lost, p_gained = churn / 2 + margin, churn / 2
    for sign in (1.0, -1.0):
        d, drop = sign * np.array([-1.0, 0.0, 1.0]), sign * margin
        expected = (1 + BETS[:, None] * (d + drop) / (1 - drop)) @ [p_lost, 1 - p_lost - p_gained, p_gained]
        assert expected == pytest.approx(np.ones(len(BETS)))


@given(OUTCOMES, st.randoms())
def test_the_wealth_does_not_depend_on_order_or_batches(outcomes, random):
    whole = anytime_real_gate(outcomes, 0.02).details["log_e_pass"]
    shuffled = [*outcomes]
    random.shuffle(shuffled)
    assert anytime_real_gate(shuffled, 0.02).details["log_e_pass"] == pytest.approx(whole)
    assert anytime_binary_gate(*counts(outcomes), 0.02).details["log_e_pass"] == pytest.approx(whole)


@given(OUTCOMES, st.floats(0.005, 0.5))
def test_betting_bounds_and_verdict_agree(outcomes, margin):
    result = anytime_binary_gate(*counts(outcomes), margin)
    lower, upper = (-1 if result.lower is None else result.lower), (1 if result.upper is None else result.upper)
    assert lower <= result.estimate <= upper
    if min(abs(lower - margin), abs(upper - margin)) > 1e-9:
        assert (result.verdict is Verdict.FAIL) == (lower > margin)
        assert (result.verdict is Verdict.PASS) == (upper < margin)


@given(OUTCOMES)
def test_swapping_the_models_swaps_the_bounds(outcomes):
    one, other = anytime_real_gate(outcomes, 0.02), anytime_real_gate([-d for d in outcomes], 0.02)
    assert (one.lower is None) == (other.upper is None)
    if one.lower is not None:
        assert one.lower == pytest.approx(-other.upper, abs=1e-9)


def test_hellaswag_stops_after_1850_items():
    stopped = hybrid_gate(44, 41, 1850, 10_042, 0.02)
    assert stopped.verdict is Verdict.PASS
    assert stopped.details["log_e_pass"] == pytest.approx(4.74, abs=0.01)


def test_the_hybrid_ends_with_an_ordinary_test():
    lost, gained, n = 110, 60, 1000
    assert hybrid_gate(lost, gained, n, n, 0.02).verdict is Verdict.FAIL
    assert hybrid_gate(lost, gained, n, n + 1, 0.02).verdict is Verdict.INCONCLUSIVE
    assert anytime_binary_gate(lost, gained, n, 0.02).verdict is Verdict.INCONCLUSIVE


@given(st.integers(200, 4000), st.data())
def test_hybrid_p_value_and_verdict_agree(n, data):
    lost = data.draw(st.integers(0, n // 4))
    result = hybrid_gate(lost, data.draw(st.integers(0, n // 4)), n, n, 0.02)
    assert (result.verdict is Verdict.FAIL) == (result.p_fail <= 0.05)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=20, max_size=150), st.floats(0.01, 0.2))
def test_the_whole_benchmark_is_a_fact(outcomes, margin):
    drop = -math.fsum(outcomes) / len(outcomes)
    expected = Verdict.PASS if drop <= margin + 1e-12 else Verdict.FAIL
    assert benchmark_gate(outcomes, len(outcomes), margin).verdict is expected


def test_a_fact_does_not_depend_on_the_order_in_the_file():
    # 500 items won, then 540 lost: the first half alone looks like a pass.
    assert benchmark_gate([1.0] * 500 + [-1.0] * 540, 1040, 0.02).verdict is Verdict.FAIL


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=5, max_size=60), st.floats(0.02, 0.2))
def test_a_part_that_leaves_no_choice_is_never_wrong(outcomes, margin):
    """With an error rate of nothing only arithmetic decides, and then no rest can change it."""
    drop = -math.fsum(outcomes) / len(outcomes)
    for seen in range(1, len(outcomes)):
        verdict = benchmark_gate(outcomes[:seen], len(outcomes), margin, alpha=1e-300).verdict
        if abs(drop - margin) > 1e-9 and verdict is not Verdict.INCONCLUSIVE:
            assert verdict is (Verdict.PASS if drop < margin else Verdict.FAIL)


def test_a_benchmark_is_decided_when_the_rest_cannot_change_it():
    assert benchmark_gate([-1.0] * 3, 100, 0.02, alpha=1e-9).verdict is Verdict.INCONCLUSIVE
    # 90 of 100 items won: even losing the other 10 leaves the candidate ahead.
    assert benchmark_gate([1.0] * 90, 100, 0.02, alpha=1e-300).verdict is Verdict.PASS
    assert benchmark_gate([0.0] * 980 + [-1.0] * 20, 1000, 0.02, alpha=1e-300).verdict is Verdict.PASS
    assert benchmark_gate([0.0] * 979 + [-1.0] * 21, 1000, 0.02, alpha=1e-300).verdict is Verdict.FAIL


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_stored_prefix_gives_the_verdict_that_stopped_the_run(seed):
    rng = np.random.default_rng(seed)
    d = rng.choice([-1.0, 0.0, 1.0], size=1000, p=[0.06, 0.91, 0.03])
    stopped = benchmark_gate(d[:999], 1000, 0.02)
    if (n := stopped.details["decided_after"]) is not None:
        assert benchmark_gate(d[:n], 1000, 0.02).verdict is stopped.verdict
        assert benchmark_gate(d[: n - 1], 1000, 0.02).verdict is Verdict.INCONCLUSIVE


def test_more_items_than_there_are_is_refused():
    with pytest.raises(UsageError, match="only 2"):
        benchmark_gate([0.0] * 3, 2, 0.02)
