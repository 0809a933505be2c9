"""The binary gate: published values, recorded pairs, and what must hold for all counts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.common import items_needed
from pytest_slmsec.gates.statistics.paired_binary import (
    binary_gate,
    cluster_ratio,
    drop_bounds,
    fail_z,
    floor_items,
    mcnemar_midp,
    scas_z,
    smallest_provable_margin,
    tango_z,
)
from pytest_slmsec.gates.statistics.power import rates_at
from pytest_slmsec.gates.statistics.result import Verdict

RANK = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL].index
MARGINS = st.floats(0.001, 0.4)


@st.composite
def counts(draw, largest=600):
    n = draw(st.integers(1, largest))
    lost = draw(st.integers(0, n))
    return lost, draw(st.integers(0, n - lost)), n


def verdict(lost, gained, n, margin=0.02, **options):
    return binary_gate(lost, gained, n, margin, **options).verdict


def test_published_interval_of_the_airway_data():
    # Fagerland, Lydersen, Laake (2014): a, b, c, d = 1, 1, 7, 12; two-sided 95 %. Skew-corrected: R package ratesci.
    z = 1.959964
    bounds, swapped = drop_bounds(1, 7, 21, z, z), drop_bounds(7, 1, 21, z, z)
    assert (-swapped.upper, bounds.upper) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert (bounds.lower, -swapped.lower) == pytest.approx((-0.5281, -0.0184), abs=5e-5)


@pytest.mark.parametrize(
    ("lost", "gained", "expected", "lower", "upper"),
    [
        pytest.param(26, 4, Verdict.FAIL, 0.138, 0.305, id="phi3 cti-rcm"),
        pytest.param(26, 13, Verdict.FAIL, 0.028, 0.230, id="tinyllama cti-mcq"),
        pytest.param(12, 9, Verdict.INCONCLUSIVE, -0.047, 0.108, id="phi3 cti-mcq"),
        pytest.param(10, 6, Verdict.INCONCLUSIVE, -0.028, 0.110, id="tinyllama cti-rcm"),
    ],
)
def test_recorded_4_bit_models(lost, gained, expected, lower, upper):
    result = binary_gate(lost, gained, 100, 0.02)
    assert result.verdict is expected
    assert result.lower == pytest.approx(lower, abs=1e-3)
    assert result.upper == pytest.approx(upper, abs=1e-3)


@given(counts(), st.floats(-0.9, 0.9))
def test_swapping_the_models_turns_the_sign(c, margin):
    lost, gained, n = c
    for statistic in (tango_z, scas_z):
        swapped = float(statistic(gained, lost, n, -margin))
        assert float(statistic(lost, gained, n, margin)) == pytest.approx(-swapped, rel=1e-7, abs=1e-7)


@given(counts())
def test_at_margin_0_it_is_mcnemars_z(c):
    lost, gained, n = c
    expected = (lost - gained) / math.sqrt(lost + gained) if lost + gained else 0.0
    assert float(tango_z(lost, gained, n, 0)) == pytest.approx(expected, abs=1e-9)


@given(counts(), MARGINS)
def test_test_and_interval_agree(c: tuple[int, int, int], margin):
    result = binary_gate(*c, margin)
    assert -1 <= result.lower <= result.estimate <= result.upper <= 1
    if min(abs(result.lower - margin), abs(result.upper - margin)) > 1e-9:
        assert (result.verdict is Verdict.FAIL) == (result.lower > margin)
        assert (result.verdict is Verdict.PASS) == (result.upper < margin)


@given(counts(), MARGINS)
def test_one_more_wrong_answer_never_helps(c, margin):
    lost, gained, n = c
    before = verdict(lost, gained, n, margin)
    worse = []
    if lost + gained < n:
        worse.append((lost + 1, gained, n))
    if gained:
        worse.append((lost, gained - 1, n))
    for case in worse:
        assert RANK(verdict(*case, margin)) >= RANK(before)
        assert float(tango_z(*case, margin)) >= float(tango_z(lost, gained, n, margin)) - 1e-9


@given(counts(), MARGINS, MARGINS)
def test_a_larger_margin_never_worsens_the_verdict(c: tuple[int, int, int], one, other):
    assert RANK(verdict(*c, max(one, other))) <= RANK(verdict(*c, min(one, other)))


@given(counts(), MARGINS, st.integers(1, 2000))
def test_agreeing_items_never_turn_pass_into_something_else(c, margin, more):
    lost, gained, n = c
    if verdict(lost, gained, n, margin) is Verdict.PASS:
        assert verdict(lost, gained, n + more, margin) is Verdict.PASS


@given(st.integers(1, 5000), MARGINS)
def test_identical_outputs_never_fail_and_pass_from_the_floor_on(n, margin):
    assert verdict(0, 0, n, margin) is (Verdict.PASS if n >= floor_items(margin) else Verdict.INCONCLUSIVE)
    assert (smallest_provable_margin(n) < margin) == (n >= floor_items(margin))


def test_two_points_need_133_items():
    assert floor_items(0.02) == 133
    assert [round(100 * smallest_provable_margin(n), 1) for n in (50, 60, 81, 100)] == [5.1, 4.3, 3.2, 2.6]


def test_the_skew_correction_only_makes_fail_rarer():
    assert float(tango_z(5, 0, 100, 0.02)) > 1.645 > float(fail_z(5, 0, 100, 0.02))


def test_a_weak_base_may_lose_only_a_quarter():
    assert verdict(30, 28, 2500, base_accuracy=0.30) is Verdict.PASS
    weak = binary_gate(30, 28, 2500, 0.02, base_accuracy=0.02)
    assert weak.verdict is Verdict.INCONCLUSIVE
    assert "2.0 % right" in weak.reasons[0]
    assert verdict(0, 0, 2500, base_accuracy=0.0) is Verdict.INCONCLUSIVE


def test_mcnemar_midp():
    # One lost and seven gained: Fagerland, Lydersen, Laake (2013), table 1: 0.0391.
    assert mcnemar_midp(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_midp(0, 0) == mcnemar_midp(0, 0) == 1.0
    assert mcnemar_midp(1, 1) == 0.75
    assert mcnemar_midp(0, 5000) < 1e-300


def test_items_needed():
    assert items_needed(20 / 378 - (2 / 378) ** 2, 2 / 378, 0.02) == pytest.approx(1510, rel=0.002)
    assert items_needed(0.06, 0.02, 0.02) is None


def test_what_is_said_when_undecided():
    few = binary_gate(3, 2, 50, 0.02).details
    close = binary_gate(82, 61, 1319, 0.02).details
    assert few["below_floor"]
    assert close["close_to_limit"]
    assert close["leaning"] == "PASS"
    assert binary_gate(0, 0, 100, 0.02).details["items_needed"] == 133


def test_clustered_items_count_less():
    # Ten passages of ten questions, each passage lost or kept as a whole.
    differences, passages = [-1.0] * 20 + [0.0] * 80, [f"passage {i // 10}" for i in range(100)]
    ratio = cluster_ratio(differences, passages)
    assert ratio == pytest.approx(math.sqrt(10 * (10 / 9) / (100 / 99)))
    clustered, naive = binary_gate(20, 0, 100, 0.02, cluster_se_ratio=ratio), binary_gate(20, 0, 100, 0.02)
    assert naive.verdict is Verdict.FAIL
    assert clustered.verdict is Verdict.INCONCLUSIVE
    assert clustered.details["n_effective"] == pytest.approx(100 / ratio**2)
    assert binary_gate(20, 0, 100, 0.02, cluster_se_ratio=1.05) == naive


def test_clusters_of_one_item_change_nothing():
    assert cluster_ratio([0.0, -1.0, 1.0, 0.0], list("abcd")) == pytest.approx(1.0)
    assert cluster_ratio([0.5] * 4, list("aabb")) == 1.0
    assert cluster_ratio([-0.4] * 60, list("aab") * 20) == 1.0  # their mean is not -0.4 to the last bit


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.02, 2.0, math.nan])
def test_margins_outside_0_and_1_are_refused(margin):
    with pytest.raises(UsageError, match=r"margin must lie strictly between 0 and 1"):
        binary_gate(3, 2, 100, margin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 0, 0, 0.02), "at least one item"),
        ((-1, 0, 10, 0.02), "Impossible counts"),
        ((6, 5, 10, 0.02), "Impossible counts"),
        ((1, 1, 10, 0.02, 0.7), "alpha is a one-sided error rate"),
        ((5, 0, 10, 0.02, 0.05, 0.05, 0.1), "base accuracy of 0.1 cannot be"),
    ],
)
def test_impossible_input_is_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        binary_gate(*arguments)


def test_clusters_that_cannot_be_used_are_refused():
    with pytest.raises(UsageError, match="two clusters or more"):
        cluster_ratio([0.0, 1.0], ["a", "a"])
    with pytest.raises(UsageError, match="a cluster for every item"):
        cluster_ratio([0.0, 1.0, 0.0], ["a", "b"])


@given(st.integers(100, 800), st.floats(0.005, 0.05), st.floats(0.0, 0.5))
def test_exact_size(n, margin, churn):
    """The worst cases, 6.9 % and 7.7 %, have almost no churn: there a single answer moves the verdict."""
    rates = rates_at(n, margin, churn, margin)
    assert rates.passed <= 0.07
    assert rates.failed <= 0.08


def test_a_planted_drop_of_5_points_fails_at_1000_items():
    assert rates_at(1000, 0.05, 0.06, 0.02).failed > 0.85
