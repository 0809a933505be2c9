"""The gate on real-valued scores."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.paired_real import bca_bounds, bca_p, real_gate
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
