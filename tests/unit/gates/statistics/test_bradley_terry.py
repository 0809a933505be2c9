"""Ratings from verdicts."""

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.gates.statistics.bradley_terry import (
    Verdict,
    bradley_terry,
    elo,
    first_position,
    tallies,
    win_probability,
)


def verdicts(*rows):
    """(first, second, points of the first), each on an item of its own."""
    return [Verdict(first, second, points, f"item {number}") for number, (first, second, points) in enumerate(rows)]


def contest(one, other, wins, ties, losses):
    return verdicts(*[(one, other, 1.0)] * wins, *[(one, other, 0.5)] * ties, *[(one, other, 0.0)] * losses)


def test_two_models_are_as_far_apart_as_their_win_share_says():
    found = bradley_terry(contest("a", "b", 30, 0, 10), resamples=0)
    assert win_probability(found["a"].value, found["b"].value) == pytest.approx(0.75)
    assert (found["a"].value + found["b"].value) / 2 == pytest.approx(1000)
    assert list(found) == ["a", "b"]


def test_a_tie_is_half_a_win_of_each():
    with_ties = bradley_terry(contest("a", "b", 20, 20, 0), resamples=0)
    without = bradley_terry(contest("a", "b", 30, 0, 10), resamples=0)
    assert with_ties["a"].value == pytest.approx(without["a"].value)


@given(st.floats(0, 3000))
def test_a_model_against_itself_is_exactly_one_half(rating):
    assert win_probability(rating, rating) == 0.5


@given(st.randoms(use_true_random=False))
def test_the_order_of_the_verdicts_and_of_the_places_moves_no_rating(rng):
    rows = [*contest("a", "b", 6, 3, 4), *contest("b", "c", 5, 1, 3), *contest("a", "c", 4, 0, 2)]
    before = bradley_terry(rows, resamples=0)
    turned = [Verdict(second, first, 1 - points, item) for first, second, points, item in rows]
    rng.shuffle(turned)
    after = bradley_terry(turned, resamples=0)
    assert all(after[model].value == pytest.approx(before[model].value, abs=1e-5) for model in before)


def test_elo_depends_on_the_order():
    rows = contest("a", "b", 20, 0, 20)
    assert elo(rows)["a"] < elo(rows[::-1])["a"]


def test_true_strengths_are_found_within_their_intervals():
    strengths, rng, rows = {"a": 1150.0, "b": 1000.0, "c": 850.0}, random.Random(3), []
    for item in range(300):
        for one, other in itertools.combinations(strengths, 2):
            won = rng.random() < win_probability(strengths[one], strengths[other])
            rows.append(Verdict(one, other, float(won), str(item)))
    found = bradley_terry(rows, resamples=100)
    assert all(found[model].low < strengths[model] < found[model].high for model in strengths)


def test_verdicts_on_one_item_are_one_draw():
    """Sixteen copies of each verdict say no more than one of them."""
    rows = contest("a", "b", 12, 0, 8)
    alone = bradley_terry(rows, resamples=200)["a"]
    copied = bradley_terry([row for row in rows for _ in range(16)], resamples=200)["a"]
    assert np.isclose(alone.high - alone.low, copied.high - copied.low)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (contest("a", "b", 5, 0, 0), "no finite estimate: a never lost a point to the others"),
        (contest("a", "b", 3, 0, 3) + contest("b", "c", 4, 0, 0), "a, b never lost a point to the others"),
        (contest("a", "b", 1, 0, 1) + contest("c", "d", 1, 0, 1), "c, d and the others were never compared"),
    ],
)
def test_models_without_a_finite_estimate_are_named(rows, message):
    with pytest.raises(DataError, match=message):
        bradley_terry(rows)


def test_a_few_items_may_give_a_rating_without_an_interval():
    found = bradley_terry(contest("a", "b", 2, 0, 1))
    assert (found["a"].low, found["a"].high) == (None, None)


def test_decided_verdicts_of_the_first_place_and_tallies():
    rows = contest("a", "b", 3, 2, 1)
    assert first_position(rows) == (3, 4)
    assert tallies(rows) == {"a": (3, 2, 1), "b": (1, 2, 3)}
