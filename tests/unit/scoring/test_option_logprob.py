"""Multiple choice by log-probability."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.option_logprob import score_option

ITEM = Item("c-1", "?", "B", choices=tuple("ABCD"), labels=tuple("ABCD"))


def test_the_most_probable_option_counts_with_its_probability_and_margin():
    probabilities = (0.1, 0.6, 0.2, 0.1)
    score = score_option(ITEM, Output(choice_logprobs=tuple(map(math.log, probabilities))), Mode.STRICT)
    assert (score.extracted, score.correct, score.parsed) == ("B", True, True)
    assert score.parts["p_correct"] == pytest.approx(0.6)
    assert score.parts["margin"] == pytest.approx(math.log(3))


def test_an_exact_tie_at_the_top_is_wrong_in_strict_and_the_first_in_official():
    output = Output(choice_logprobs=(-2.0, -1.0, -1.0, -3.0))
    strict, official = (score_option(ITEM, output, mode) for mode in (Mode.STRICT, Mode.OFFICIAL))
    assert (strict.correct, strict.extracted, strict.parsed, strict.parts["tie"]) == (False, None, True, 1.0)
    assert (official.correct, official.extracted) == (True, "B")


@pytest.mark.parametrize(
    "logprobs", [None, (), (-1.0, -2.0), (-1.0, math.nan, -2.0, -3.0), (-math.inf, -1.0, -2.0, -3.0)]
)
def test_missing_or_non_finite_log_probabilities_are_unparsed(logprobs):
    score = score_option(ITEM, Output(choice_logprobs=logprobs), Mode.STRICT)
    assert (score.value, score.parsed, score.correct, score.parts["p_correct"]) == (0.0, False, False, 0.0)


@given(st.lists(st.floats(-1e4, 0), min_size=4, max_size=4))
def test_the_probabilities_of_all_golds_sum_to_one(logprobs):
    output = Output(choice_logprobs=tuple(logprobs))
    golds = [Item("c-1", "?", label, choices=ITEM.choices, labels=ITEM.labels) for label in "ABCD"]
    assert sum(score_option(gold, output, Mode.STRICT).parts["p_correct"] for gold in golds) == pytest.approx(1.0)


def test_scores_of_an_encoder_rank_the_options_and_have_no_probability():
    score = score_option(ITEM, Output(choice_scores=(0.25, 0.75, -0.5, 0.5)), Mode.STRICT)
    assert (score.extracted, score.correct, score.parsed) == ("B", True, True)
    assert score.parts == {"margin": 0.25, "tie": 0.0}


def test_an_option_without_text_is_never_chosen():
    score = score_option(ITEM, Output(choice_scores=(-3.0, None, -2.0, -9.0)), Mode.OFFICIAL)
    assert (score.extracted, score.correct) == ("C", False)


@pytest.mark.parametrize("scores", [(), (None,) * 4, (0.1, math.nan, 0.2, 0.3), (0.1, 0.2)])
def test_scores_that_are_missing_or_not_finite_are_unparsed(scores):
    score = score_option(ITEM, Output(choice_scores=scores), Mode.STRICT)
    assert (score.value, score.parsed, score.parts) == (0.0, False, {"margin": 0.0, "tie": 0.0})
