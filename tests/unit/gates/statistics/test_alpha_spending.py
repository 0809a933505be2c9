"""Looks on a schedule: boundaries, spending, p-values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.alpha_spending import (
    OBF_BOUNDARIES,
    boundaries,
    group_sequential_gate,
    obf_spent,
    pocock_spent,
    repeated_p,
)
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import obf_looks

EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)


@pytest.mark.parametrize(
    ("alpha", "published"), [(0.05, (4.23, 2.89, 2.30, 1.96, 1.74)), (0.025, (4.88, 3.36, 2.68, 2.29, 2.03))]
)
def test_the_recursion_gives_the_published_boundaries(alpha, published):
    assert boundaries(alpha, EVEN) == pytest.approx(published, abs=6e-3)
    assert boundaries(alpha, EVEN) == pytest.approx(OBF_BOUNDARIES[alpha], abs=2e-4)


@pytest.mark.parametrize("look", [1, 2, 3, 4, 5])
def test_a_result_on_the_boundary_has_a_p_value_of_alpha(look):
    assert repeated_p(look, OBF_BOUNDARIES[0.05][look - 1], EVEN) == pytest.approx(0.05, rel=1e-2)
    assert repeated_p(look, OBF_BOUNDARIES[0.025][look - 1], EVEN) == pytest.approx(0.025, rel=1e-2)


def test_p_values_of_results_that_are_nothing_special_or_beyond_doubt():
    assert repeated_p(2, -1.0, EVEN) == 1.0
    assert repeated_p(5, 30.0, EVEN) == pytest.approx(1e-12)


@pytest.mark.parametrize("spent", [obf_spent, pocock_spent])
def test_all_error_is_spent_at_the_end(spent):
    assert spent(1.0, 0.05) == pytest.approx(0.05)
    assert spent(0.0, 0.05) == 0.0
    assert 0 < spent(0.3, 0.05) < spent(0.6, 0.05) < 0.05


def test_boundaries_of_two_looks_against_the_bivariate_normal():
    """P(Z1 >= c1 or Z2 >= c2) = 0.05, where Z1 and Z2 correlate with the root of the first share."""
    first, last = boundaries(0.05, (0.2, 1.0), pocock_spent)
    both = multivariate_normal([0, 0], [[1, 0.2**0.5], [0.2**0.5, 1]]).cdf([first, last])
    assert norm.sf(first) == pytest.approx(pocock_spent(0.2, 0.05), rel=1e-6)
    assert 1 - both == pytest.approx(0.05, abs=1e-5)


def test_a_sample_that_is_meant_to_decide_needs_another_spending_than_a_look_in_passing():
    assert boundaries(0.05, (0.1, 1.0), obf_spent)[0] > 6
    assert boundaries(0.05, (0.1, 1.0), pocock_spent)[0] < 2.5


def test_looks():
    assert obf_looks(1000) == (200, 400, 600, 800, 1000)
    assert obf_looks(378) == (76, 152, 227, 303, 378)


def test_a_clear_case_stops_early():
    assert group_sequential_gate(60, 10, 400, obf_looks(1000), 0.02).verdict is Verdict.FAIL
    assert group_sequential_gate(2, 5, 400, obf_looks(1000), 0.02).verdict is Verdict.PASS
    assert group_sequential_gate(6, 3, 200, obf_looks(1000), 0.02).verdict is Verdict.INCONCLUSIVE


@given(st.integers(5, 3000), st.integers(0, 4), st.data())
@settings(max_examples=50, deadline=None)
def test_repeated_bounds_and_verdict_agree(n_total, look, data):
    looks = obf_looks(n_total)
    n = looks[look]
    lost = data.draw(st.integers(0, n))
    result = group_sequential_gate(lost, data.draw(st.integers(0, n - lost)), n, looks, 0.02)
    if min(abs(result.lower - 0.02), abs(result.upper - 0.02)) > 1e-6:
        assert (result.verdict is Verdict.FAIL) == (result.lower > 0.02)
        assert (result.verdict is Verdict.PASS) == (result.upper < 0.02)


def test_looks_out_of_schedule_are_refused():
    with pytest.raises(UsageError, match="not after 250"):
        group_sequential_gate(5, 5, 250, obf_looks(1000), 0.02)
    with pytest.raises(UsageError, match="Impossible counts"):
        group_sequential_gate(5, 5, 200, obf_looks(100), 0.02)


def test_a_sample_decides_or_is_extended():
    looks = (300, 1000)
    assert group_sequential_gate(40, 5, 300, looks, 0.02, method="two-stage").verdict is Verdict.FAIL
    assert group_sequential_gate(9, 4, 300, looks, 0.02, method="two-stage").verdict is Verdict.INCONCLUSIVE
    whole = group_sequential_gate(24, 20, 1000, looks, 0.02, method="two-stage")
    assert (whole.verdict, whole.method, whole.details["look"]) == (Verdict.PASS, "two-stage", 2)


@given(st.integers(0, 4), st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=60, deadline=None)
def test_p_value_and_verdict_agree(look, lost, gained):
    result = group_sequential_gate(lost, gained, 200 * (look + 1), obf_looks(1000), 0.02)
    assert (result.verdict is Verdict.FAIL) == (
        result.p_fail <= 0.05 and result.details["z"] >= result.details["boundary"]
    )


def test_an_undecided_end_says_what_it_would_need():
    assert "items_needed" in group_sequential_gate(30, 15, 1000, obf_looks(1000), 0.02).details
    assert "items_needed" not in group_sequential_gate(10, 5, 200, obf_looks(1000), 0.02).details


def test_each_method_has_boundaries_of_its_own():
    looks, shares = (300, 1000), (0.3, 1.0)
    for method, spent in (("obf", obf_spent), ("two-stage", pocock_spent)):
        first, last = boundaries(0.05, shares, spent)
        for n, critical in ((300, first), (1000, last)):
            found = group_sequential_gate(12, 5, n, looks, 0.02, method=method)
            assert found.details["boundary"] == pytest.approx(critical, abs=1e-6)
