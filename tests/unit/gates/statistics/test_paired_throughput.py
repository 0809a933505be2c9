"""The speed gate: Hodges-Lehmann bounds on rounds timed in turns."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.paired_throughput import (
    abba_order,
    advisory_throughput,
    hodges_lehmann,
    hodges_lehmann_bounds,
    round_ratios,
    signed_rank_p,
    throughput_gate,
    walsh_averages,
)
from pytest_slmsec.gates.statistics.result import Verdict

RATIOS = st.lists(st.floats(-1, 1), min_size=10, max_size=40)


def rounds(slowdown, sd=0.01, n=20, seed=0):
    return np.log1p(slowdown) + np.random.default_rng(seed).normal(0, sd, n)


@pytest.mark.parametrize(
    ("slowdown", "expected"),
    [(0.0, Verdict.PASS), (-0.65, Verdict.PASS), (0.05, Verdict.INCONCLUSIVE), (0.10, Verdict.FAIL)],
)
def test_verdicts_at_5_percent(slowdown, expected):
    result = throughput_gate(rounds(slowdown), 0.05)
    assert result.verdict is expected
    assert result.lower < result.estimate < result.upper
    assert result.estimate == pytest.approx(slowdown, abs=0.01)


def test_walsh_averages_of_three():
    assert list(walsh_averages([1.0, 3.0, 8.0])) == [1, 2, 3, 4.5, 5.5, 8]
    assert hodges_lehmann([1.0, 3.0, 8.0]) == 3.75


def test_bounds_use_wilcoxons_table():
    # n = 10, one-sided 0.05: the critical value is 10, so the bound is the 11th Walsh average from either end.
    x = np.arange(10.0) ** 1.5
    assert hodges_lehmann_bounds(x) == (walsh_averages(x)[10], walsh_averages(x)[-11])


@pytest.mark.parametrize("n", [5, 8, 10])
def test_the_signed_rank_p_is_the_share_of_sign_patterns(n):
    magnitudes = np.arange(1.0, n + 1)
    observed = np.where(magnitudes <= 2, -magnitudes, magnitudes)
    negative_rank_sums = np.array(list(itertools.product([0, 1], repeat=n))) @ magnitudes
    assert signed_rank_p(observed, 0.0) == pytest.approx(np.mean(negative_rank_sums <= 3))


def test_the_normal_approximation_differs_by_at_most_one():
    for n in range(10, 80):
        approximate = math.floor(n * (n + 1) / 4 - 1.6449 * math.sqrt(n * (n + 1) * (2 * n + 1) / 24) - 0.5)
        x = np.arange(float(n))
        exact = hodges_lehmann_bounds(x).lower
        assert exact in walsh_averages(x)[[approximate - 1, approximate]]


@given(RATIOS)
def test_turning_the_sign_turns_the_bounds(ratios):
    low, high = hodges_lehmann_bounds(ratios)
    assert hodges_lehmann_bounds([-r for r in ratios]) == (-high, -low)


@given(st.integers(0, 10_000), st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(seed, unit):
    seconds = np.random.default_rng(seed).uniform(0.5, 1.0, (12, 4))
    one, other = round_ratios(seconds), round_ratios(seconds * unit)
    assert one.candidate_over_base == pytest.approx(other.candidate_over_base)
    assert one.base_over_base == pytest.approx(other.base_over_base)


@given(RATIOS, st.floats(-0.5, 0.5))
def test_p_value_and_bound_agree(ratios, centre):
    lower = hodges_lehmann_bounds(ratios).lower
    assert (signed_rank_p(ratios, centre) <= 0.05) == (lower > centre)


@given(RATIOS, st.integers(0, 9), st.floats(0, 1))
def test_one_slower_round_never_lowers_the_bounds(ratios, which, extra):
    slower = [*ratios]
    slower[which] += extra
    before, after = hodges_lehmann_bounds(ratios), hodges_lehmann_bounds(slower)
    assert after.lower >= before.lower
    assert after.upper >= before.upper


def test_base_and_candidate_take_turns():
    order = abba_order(10)
    assert order[:2] == (("A", "B", "B", "A"), ("B", "A", "A", "B"))
    assert all(sorted(r) == ["A", "A", "B", "B"] for r in order)


def test_a_steady_drift_cancels_within_each_round():
    seconds = 1 + 0.01 * np.arange(40.0).reshape(10, 4)
    assert round_ratios(seconds).candidate_over_base == pytest.approx(np.zeros(10), abs=1e-12)


def test_ratios_follow_the_order():
    seconds = [[1.0, 2.0, 2.0, 1.1] if j % 2 == 0 else [2.0, 1.0, 1.1, 2.0] for j in range(10)]
    ratios = round_ratios(seconds)
    assert ratios.candidate_over_base == pytest.approx(np.full(10, math.log(4 / 2.1)))
    assert ratios.base_over_base == pytest.approx(np.full(10, math.log(1.1)))


def test_a_noisy_machine_decides_nothing():
    noisy = throughput_gate(rounds(0.3), 0.05, base_log_ratios=rounds(0.0, sd=0.5))
    quiet = throughput_gate(rounds(0.3), 0.05, base_log_ratios=rounds(0.0, sd=0.01))
    assert noisy.verdict is Verdict.INCONCLUSIVE
    assert "too noisy" in noisy.reasons[0]
    assert quiet.verdict is Verdict.FAIL


def test_a_stored_speed_is_advisory():
    stored = advisory_throughput(100.0, 50.0)
    assert stored.verdict is Verdict.INCONCLUSIVE
    assert stored.estimate == pytest.approx(1.0)
    with pytest.raises(UsageError, match="positive tokens per second"):
        advisory_throughput(100.0, 0.0)


def test_bad_timings_are_refused():
    with pytest.raises(UsageError, match="10 rounds or more, got 9"):
        abba_order(9)
    with pytest.raises(UsageError, match="positive seconds"):
        round_ratios(np.zeros((10, 4)))
    with pytest.raises(UsageError, match="10 rounds or more"):
        throughput_gate([0.0] * 9)
    with pytest.raises(UsageError, match="finite log-ratios"):
        throughput_gate([0.0] * 9 + [math.nan])
    with pytest.raises(UsageError, match="positive share"):
        throughput_gate([0.0] * 10, 0.0)
