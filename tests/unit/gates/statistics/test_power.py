"""What a benchmark can show, known before anything runs."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.power import (
    binary_rates,
    detectable_drop,
    feasibility,
    items_to_pass,
    rates_at,
    real_floor,
    real_items_to_pass,
)


def test_fifty_items_can_fail_but_not_pass():
    found = feasibility("cti-taa", 50, 0.02)
    assert not found.can_pass
    # It passes only where the flips happen to favour the candidate.
    assert found.power_pass == pytest.approx(0.12, abs=0.01)
    assert found.sentence == (
        'cti-taa has 50 items; even with no changed answer it can only prove "at most 5.1 points worse". It can FAIL '
        "(from a drop of about 18 points) but not PASS at 2 points unless the candidate is better. Role: advisory."
    )


def test_a_large_benchmark_passes_almost_always():
    found = feasibility("cti-mcq", 2500, 0.02)
    assert found.can_pass
    assert found.power_pass > 0.98
    assert "an unchanged model passes at 2 points in about 99 of 100 runs" in found.sentence
    stored = json.loads(json.dumps(found.to_json()))
    assert (stored["items_to_pass"], stored["sentence"]) == (items_to_pass(0.02, 0.06), found.sentence)


def test_an_unchanged_model_without_churn_needs_the_floor_only():
    assert items_to_pass(0.02, 0.0) == 133
    assert feasibility("b", 133, 0.02, churn=0.0).power_pass == pytest.approx(1.0)


def test_rates_agree_with_a_hand_count_of_two_items():
    # One item lost with 0.3, gained with 0.1: of two items, no verdict can be reached.
    assert binary_rates(2, 0.3, 0.1, 0.02) == pytest.approx((0.0, 0.0, 1.0), abs=1e-8)


@given(st.integers(1, 400), st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.001, 0.3))
def test_rates_add_up_to_one(n, p_lost, p_gained, margin):
    rates = binary_rates(n, p_lost, p_gained, margin)
    assert sum(rates) == pytest.approx(1.0, abs=1e-6)
    assert min(rates) >= -1e-9


def test_rates_agree_with_simulation():
    from pytest_slmsec.gates.statistics.paired_binary import tango_z

    lost, gained, _ = np.random.default_rng(5).multinomial(500, [0.03, 0.02, 0.95], size=20_000).T
    simulated = (tango_z(lost, gained, 500, 0.03) <= -1.6449).mean()
    assert rates_at(500, 0.01, 0.04, 0.03).passed == pytest.approx(simulated, abs=0.015)


def test_the_planned_sizes_have_the_promised_power():
    assert rates_at(items_to_pass(0.02, 0.06), 0.0, 0.06, 0.02).passed == pytest.approx(0.80, abs=0.03)
    assert rates_at(1000, detectable_drop(1000, 0.02, 0.06), 0.06, 0.02).failed == pytest.approx(0.80, abs=0.03)


def test_two_items_detect_nothing():
    assert detectable_drop(2, 0.02, 0.06) is None
    # Where 90 of 100 answers change anyway, not even the largest drop that is left is found in 30 items.
    assert detectable_drop(30, 0.02, 0.9) is None


def test_floors_of_real_valued_gates():
    assert real_floor(0.02, 1.0) == 150
    assert real_floor(0.01, 1.0) == 299
    assert real_items_to_pass(0.06, 0.02) == 150
    assert real_items_to_pass(0.16, 0.02) > 400


def test_bad_plans_are_refused():
    with pytest.raises(UsageError, match="no items"):
        feasibility("empty", 0, 0.02)
    with pytest.raises(UsageError, match="Churn"):
        feasibility("b", 100, 0.02, churn=1.0)
    with pytest.raises(UsageError, match="No such items"):
        binary_rates(100, 0.7, 0.6, 0.02)
    with pytest.raises(UsageError, match="margin"):
        feasibility("b", 100, 2.0)
