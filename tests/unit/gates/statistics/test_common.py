"""Checked numbers common to all gates, and what an undecided gate says."""

import math

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.common import (
    check_margin,
    items_needed,
    items_to_decide,
    normal_quantile,
    undecided,
)


def test_quantiles_of_the_normal_table():
    assert normal_quantile(0.05) == pytest.approx(1.644854, abs=1e-6)
    assert normal_quantile(0.025) == pytest.approx(1.959964, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.95, -0.05, math.nan])
def test_error_rates_are_one_sided(alpha):
    with pytest.raises(UsageError, match="alpha is a one-sided error rate"):
        normal_quantile(alpha)


def test_a_margin_lies_inside_the_scale():
    check_margin(1e-9)
    check_margin(9.9, 10.0)
    for margin, scale in ((0.0, 1.0), (1.0, 1.0), (10.0, 10.0), (math.nan, 1.0)):
        with pytest.raises(UsageError, match=f"strictly between 0 and {scale:g}"):
            check_margin(margin, scale)
    for scale in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(UsageError, match="scale of a metric must be a positive number"):
            check_margin(0.02, scale)


def test_only_shares_are_explained_as_points():
    with pytest.raises(UsageError, match=r"\(2 points are 0.02\), got 2"):
        check_margin(2.0)
    with pytest.raises(UsageError, match=r"between 0 and 10, got 12"):
        check_margin(12.0, 10.0)


@pytest.mark.parametrize(
    ("alpha", "power", "items"),
    [
        (0.05, 0.8, 928),  # (1.6449 + 0.8416)^2 0.06 / 0.02^2 = 927.4
        (0.05, 0.9, 1285),  # (1.6449 + 1.2816)^2 0.06 / 0.02^2 = 1284.6
        (0.025, 0.8, 1178),  # (1.9600 + 0.8416)^2 0.06 / 0.02^2 = 1177.3
    ],
)
def test_items_needed_by_the_textbook_formula(alpha, power, items):
    assert items_needed(0.06, 0.0, 0.02, alpha, power) == items
    assert items_needed(0.06, 0.04, 0.02, alpha, power) == items
    assert items_to_decide(0.06, 0.0, 0.02, 10, alpha, power) == items


def test_items_needed_by_default_stand_for_5_percent_and_80_percent():
    assert items_needed(0.06, 0.0, 0.02) == items_to_decide(0.06, 0.0, 0.02, 10) == 928
    assert items_needed(0.0, 0.0, 0.02) == 1
    assert items_needed(0.06, 0.02, 0.02) is None


def test_only_a_pass_needs_the_floor():
    assert items_to_decide(0.06, 0.0, 0.02, 1000) == 1000
    assert items_to_decide(0.06, 0.04, 0.02, 1000) == 928
    assert items_to_decide(0.06, 0.02, 0.02, 1000) is None


def test_what_an_undecided_gate_says():
    assert undecided(0.06, 500, 0.0, 0.02, 133, 0.05) == {
        "leaning": "PASS",
        "below_floor": False,
        "floor_items": 133,
        "close_to_limit": False,
        "items_needed": 928,
    }
    assert undecided(0.06, 132, 0.04, 0.02, 133, 0.025, 0.8) == {
        "leaning": "FAIL",
        "below_floor": True,
        "floor_items": 133,
        "close_to_limit": False,
        "items_needed": 1178,
    }
    assert undecided(0.06, 133, 0.0, 0.02, 133, 0.05, 0.9)["items_needed"] == 1285
    assert undecided(0.06, 133, 0.0, 0.02, 133, 0.05)["below_floor"] is False
    assert undecided(0.06, 500, 0.02, 0.02, 133, 0.05)["leaning"] is None


def test_close_is_within_half_a_standard_error():
    # One item's variance of 1 and 4 items: a standard error of 0.5.
    assert undecided(1.0, 4, 0.25, 0.5, 1, 0.05)["close_to_limit"] is False
    assert undecided(1.0, 4, 0.26, 0.5, 1, 0.05)["close_to_limit"] is True
    assert undecided(1.0, 4, 0.74, 0.5, 1, 0.05)["close_to_limit"] is True
    assert undecided(1.0, 4, 0.76, 0.5, 1, 0.05)["close_to_limit"] is False
