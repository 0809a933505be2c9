"""The gate on real-valued scores."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.betting import anytime_real_gate
from pytest_slmsec.gates.statistics.common import undecided
from pytest_slmsec.gates.statistics.paired_real import RESAMPLES, bca_bounds, bca_p, real_gate
from pytest_slmsec.gates.statistics.power import real_floor
from pytest_slmsec.gates.statistics.result import Verdict

RANK = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL].index


def noise(n, sd, mean=0.0, seed=0):
    return np.clip(np.random.default_rng(seed).normal(mean, sd, n), -1, 1)


def test_a_small_spread_is_decided_either_way():
    assert real_gate(noise(400, 0.1), 0.02).verdict is Verdict.PASS
    assert real_gate(noise(400, 0.1, mean=-0.05), 0.02).verdict is Verdict.FAIL
    assert real_gate(noise(400, 0.1, mean=-0.02), 0.02).verdict is Verdict.INCONCLUSIVE


def test_cvss_points_use_their_own_scale():
    result = real_gate(10 * noise(600, 0.05), 0.10, scale=10.0, unit="CVSS points")
    assert (result.scale, result.unit) == (10.0, "CVSS points")
    assert result.details["floor_items"] == real_floor(0.10, 10.0) == 299


@given(st.integers(160, 300), st.floats(-0.3, 0.3), st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_bounds_move_with_the_values(n, shift, seed):
    drops = np.random.default_rng(seed).normal(0, 0.1, n)
    (low, high), _ = bca_bounds(drops, 0.025)
    moved, _ = bca_bounds(drops + shift, 0.025)
    assert moved == pytest.approx((low + shift, high + shift), abs=1e-9)


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_item_order_does_not_matter(seed):
    d = noise(200, 0.1, seed=seed)
    assert real_gate(np.random.default_rng(seed).permutation(d), 0.02).verdict is real_gate(d, 0.02).verdict
    assert bca_bounds(d, 0.025)[0] == bca_bounds(d[::-1].copy(), 0.025)[0]


@given(st.integers(0, 10_000), st.floats(0.005, 0.05))
@settings(max_examples=25, deadline=None)
def test_p_value_and_bound_agree(seed, margin):
    rng = np.random.default_rng(seed)
    drops = np.where(rng.random(300) < 0.1, rng.exponential(0.3, 300).clip(0, 1), 0.0)
    bounds, resampled = bca_bounds(drops, 0.025)
    if abs(bounds.lower - margin) > 1e-4:
        assert (bca_p(drops, resampled, margin) < 0.025) == (bounds.lower > margin)


@given(st.integers(0, 10_000), st.integers(0, 299), st.floats(0.0, 1.0))
@settings(max_examples=25, deadline=None)
def test_one_worse_answer_never_helps(seed, which, loss):
    d = noise(300, 0.1, mean=-0.01, seed=seed)
    worse = d.copy()
    worse[which] = max(-1.0, worse[which] - loss)
    assert real_gate(worse, 0.02).estimate >= real_gate(d, 0.02).estimate - 1e-12
    assert not (RANK(real_gate(worse, 0.02).verdict) == 0 and RANK(real_gate(d, 0.02).verdict) == 2)


@pytest.mark.parametrize(
    ("value", "n", "expected"),
    [
        (0.0, 150, Verdict.PASS),
        (0.0, 149, Verdict.INCONCLUSIVE),
        (-0.01, 150, Verdict.PASS),
        (-0.03, 150, Verdict.FAIL),
    ],
)
def test_identical_differences_give_a_point_but_the_floor_stays(value, n, expected):
    result = real_gate([value] * n, 0.02)
    assert result.verdict is expected
    if n >= 150:
        assert result.lower == result.upper == pytest.approx(-value)


@given(st.integers(0, 100), st.integers(1, 10), st.integers(1, 10), st.integers(150, 400))
@settings(max_examples=60, deadline=None)
def test_a_drop_of_exactly_the_margin_is_neither_pass_nor_fail(after, drop, tenths, n):
    """Scores are hundredths, so that base, candidate and margin are rounded, and their differences too."""
    margin = drop / 100
    base = np.full(n, (after + drop) / 110) if tenths > 5 else np.linspace(drop, 100, n).round() / 100
    result = real_gate((base - margin) - base, margin)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.p_fail == pytest.approx(1.0)


@given(st.integers(1, 99), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_a_drop_on_either_side_of_the_margin_is_decided(hundredths, n_more):
    margin, n = hundredths / 100, real_floor(hundredths / 100, 1.0) + n_more
    assert real_gate([-(margin + 1e-6)] * n, margin).verdict is Verdict.FAIL
    assert real_gate([-(margin - 1e-6)] * n, margin).verdict is Verdict.PASS


def test_below_the_floor_only_a_collapse_is_decided():
    collapse, better = real_gate([-0.5] * 30 + [0.0] * 30, 0.02), real_gate([0.5] * 60, 0.02)
    assert collapse.verdict is Verdict.FAIL
    assert better.verdict is Verdict.INCONCLUSIVE
    assert "60 items are below the floor of 150" in better.reasons[0]


def test_middling_sizes_are_called_approximate():
    assert "approximate" in real_gate(noise(200, 0.05), 0.02).reasons[0]
    assert real_gate(noise(300, 0.05), 0.02).reasons == ()


def test_strict_mode_has_wider_bounds():
    d = noise(400, 0.1)
    strict, usual = real_gate(d, 0.02, strict=True), real_gate(d, 0.02)
    assert strict.method == "betting"
    assert strict.lower < usual.lower < usual.upper < strict.upper


@pytest.mark.parametrize(("bad", "message"), [(math.nan, "Item 2 of 3"), (math.inf, "Item 2 of 3"), (1.5, r"within")])
def test_differences_that_are_no_scores_are_refused(bad, message):
    with pytest.raises(UsageError, match=message):
        real_gate([0.0, bad, 0.0], 0.02)


def test_no_items_and_impossible_margins_are_refused():
    with pytest.raises(UsageError, match="one difference per item"):
        real_gate([], 0.02)
    with pytest.raises(UsageError, match="between 0 and 10"):
        real_gate([0.0] * 200, 12.0, scale=10.0)
    with pytest.raises(UsageError, match="positive number"):
        real_gate([0.0] * 200, 0.02, scale=0.0)


def test_bounds_are_those_of_scipy():
    from scipy.stats import bootstrap

    drops = np.random.default_rng(7).exponential(0.1, 200)
    seed = np.random.default_rng(20240717)
    found = bootstrap((np.sort(drops),), np.mean, n_resamples=4000, confidence_level=0.95, method="BCa", rng=seed)
    bounds, resampled = bca_bounds(drops, 0.025)
    assert bounds == pytest.approx(tuple(found.confidence_interval), abs=1e-12)
    assert resampled == pytest.approx(found.bootstrap_distribution, abs=1e-12)


def test_identical_values_have_no_spread_to_resample():
    bounds, resampled = bca_bounds(np.full(200, 0.25), 0.025)
    assert bounds == (0.25, 0.25)
    assert resampled.tolist() == [0.25] * RESAMPLES


@pytest.mark.parametrize(
    ("margin", "p"),
    [
        (0.1, 0.7),  # three resamples below, one on it, one above
        (0.05, 0.6),
        (0.5, 5 / 6),  # at most B / (B + 1)
        (-0.5, 1 / 6),  # at least 1 / (B + 1)
    ],
)
def test_without_bias_and_skewness_the_p_value_is_the_share_of_resamples_below(margin, p):
    assert bca_p(np.array([-1.0, 1.0] * 5), np.array([-0.2, -0.1, 0.0, 0.1, 0.2]), margin) == pytest.approx(p)


def test_a_skewed_p_value_by_hand():
    # Mean 0.25, sum of squares 0.75, of cubes 0.375: acceleration 0.375 / (6 0.75^1.5) = 0.0962.
    # Bias: quantile of 0.6 = 0.2533; w = quantile of 0.8 - bias = 0.5883; w / (1 + 0.0962 w) - bias = 0.3034.
    found = bca_p(np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, 0.1, 0.2, 0.3, 0.5]), 0.4)
    assert found == pytest.approx(0.6192, abs=1e-4)


def test_p_values_of_drops_without_spread():
    resampled = np.full(99, 0.25)
    assert bca_p(np.full(10, 0.25), resampled, 0.2) == 1 / 100
    assert bca_p(np.full(10, 0.25), resampled, 0.25) == 1.0
    assert bca_p(np.full(10, 0.25), resampled, 0.3) == 1.0


def test_p_values_where_the_correction_has_no_value():
    # One drop among 10,000 has an acceleration of almost 1/6, and w is near -7 or 7: 1 + aw is negative.
    drops, size = np.array([0.0] * 10_000 + [1.0]), 4000
    mean = drops.mean()
    assert bca_p(drops, np.full(size, mean / 2), mean / 4) == 1 / (size + 1)
    assert bca_p(-drops, np.full(size, -mean / 2), -mean / 4) == 1.0


def test_what_the_gate_records():
    d = noise(400, 0.1, mean=-0.02)
    found = real_gate(d, 0.02, gate="rouge", unit="ROUGE", power=0.9)
    bounds, resampled = bca_bounds(-d, 0.025)
    sd, mean = float(np.std(d, ddof=1)), float(-d.mean())
    assert (found.gate, found.unit, found.method, found.n, found.scale) == ("rouge", "ROUGE", "bca", 400, 1.0)
    assert (found.estimate, found.lower, found.upper) == (mean, *bounds)
    assert found.p_fail == pytest.approx(2 * bca_p(-d, resampled, 0.02))
    said = undecided(sd**2, 400, mean, 0.02, 150, 0.025, 0.9)
    assert found.details == {"sd": pytest.approx(sd), "resamples": 4000, **said}
    usual = real_gate(d, 0.02)
    assert (usual.gate, usual.unit) == ("real", "points")
    assert usual.details["items_needed"] < found.details["items_needed"]
    assert real_gate(noise(400, 0.1, mean=0.05), 0.02).p_fail == 1.0


def test_the_level_is_shared_by_both_sides():
    d = noise(400, 0.1, mean=-0.02)
    assert (real_gate(d, 0.02, alpha=0.2).lower, real_gate(d, 0.02, alpha=0.2).upper) == bca_bounds(-d, 0.1)[0]
    assert real_gate(d, 0.02, alpha=0.05) == real_gate(d, 0.02)
    with pytest.raises(UsageError, match="alpha"):
        real_gate(d, 0.02, alpha=0.6)


def test_items_in_clusters_count_less():
    d = noise(600, 0.05, mean=-0.01)
    plain, clustered = real_gate(d, 0.02), real_gate(d, 0.02, cluster_se_ratio=2.0)
    mean = plain.estimate
    assert clustered.lower == pytest.approx(mean - 2 * (mean - plain.lower))
    assert clustered.upper == pytest.approx(mean + 2 * (plain.upper - mean))
    assert clustered.details["floor_items"] == 600
    assert clustered.details["below_floor"] is False
    assert clustered.details["items_needed"] == pytest.approx(4 * plain.details["items_needed"], abs=4) or (
        clustered.details["items_needed"] == 600
    )
    resampled = bca_bounds(-d, 0.025)[1]
    assert clustered.p_fail == pytest.approx(min(1.0, 2 * bca_p(-d, resampled, mean + (0.02 - mean) / 2)))
    assert real_gate(d, 0.02, cluster_se_ratio=0.5) == plain
    assert real_gate(d[:599], 0.02, cluster_se_ratio=2.0).method == "betting"


def test_below_the_floor_clusters_weigh_the_bets():
    d = [-0.5] * 30 + [0.0] * 30
    found = real_gate(d, 0.02, alpha=0.04, cluster_se_ratio=2.0, gate="rouge", unit="ROUGE")
    bets = anytime_real_gate(d, 0.02, 1.0, 0.04, weight=0.25)
    assert (found.gate, found.unit, found.method, found.verdict) == ("rouge", "ROUGE", "betting", bets.verdict)
    assert (found.lower, found.upper, found.p_fail) == (bets.lower, bets.upper, bets.p_fail)
    assert found.details["resamples"] is None
    assert found.details["below_floor"] is True


def test_bounds_stay_on_the_scale():
    # Four standard errors' spread around a mean of 9.9 points.
    found = real_gate([-10.0] * 2376 + [0.0] * 24, 1.0, 10.0, cluster_se_ratio=4.0)
    assert (found.method, found.upper) == ("bca", 10.0)
    assert found.lower < found.estimate == pytest.approx(9.9)
    assert real_gate([10.0] * 2376 + [0.0] * 24, 1.0, 10.0, cluster_se_ratio=4.0).lower == -10.0


def test_one_item_has_no_spread():
    found = real_gate([-0.5], 0.02)
    assert (found.n, found.details["sd"], found.verdict) == (1, 0.0, Verdict.INCONCLUSIVE)
    assert real_gate([-0.5, 0.5], 0.02).details["sd"] == pytest.approx(0.5**0.5)
