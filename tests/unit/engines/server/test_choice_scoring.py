"""Letters scored by the likeliest first tokens."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serverasks import letters

from pytest_slmsec.core.items import Item
from pytest_slmsec.engines.server.choice_scoring import letter_logprobs
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.scoring.option_logprob import score_option


def test_a_letter_is_every_token_that_is_it():
    top = (("A", math.log(0.5)), (" A", math.log(0.25)), ("\u2581B", math.log(0.125)), ("AB", math.log(0.1)))
    assert letter_logprobs(top, "ABC") == [pytest.approx(math.log(0.75)), pytest.approx(math.log(0.125)), None]


@given(st.lists(st.tuples(st.sampled_from(["A", " A", "B", "\u0120B", "x"]), st.floats(-50, 0)), max_size=8))
def test_it_is_never_less_likely_than_its_likeliest_token(top):
    for letter, found in zip("AB", letter_logprobs(tuple(top), "AB"), strict=True):
        values = [value for token, value in top if token.strip(" \u0120") == letter]
        assert (found is None) == (not values)
        assert found is None or max(values) - 1e-9 <= found <= max(values) + math.log(len(values)) + 1e-9


def test_a_letter_that_is_not_among_them_is_unscored_and_not_zero(serve):
    def without_b(value):
        for choice in value.get("choices", ()):
            if choice.get("logprobs"):
                choice["logprobs"]["content"][0]["top_logprobs"].pop(1)
        return value

    _, engine = serve(lambda path, body, n: without_b if "item" in str(body) else None)
    (output,) = engine.run([letters(1)]).outputs
    assert output.choice_logprobs is None
    assert output.choice_scores == (-0.5, None, -2.5)
    item = Item("q-1", "?", "B", choices=tuple("ABC"), labels=tuple("ABC"))
    score = score_option(item, output, Mode.STRICT)
    assert (score.extracted, score.correct, "p_correct" in score.parts) == ("A", False, False)
    whole = score_option(item, next(iter(engine.run([letters(1)]).outputs)), Mode.STRICT)
    extras = ACCURACY.aggregate([score, whole], Mode.STRICT).extras
    assert extras.get("p_correct") is None


def test_no_letter_at_all_is_an_error_of_its_item(serve):
    def other(value):
        for choice in value.get("choices", ()):
            if choice.get("logprobs"):
                first = {"token": "The", "logprob": -0.1}
                choice["logprobs"]["content"] = [{**first, "top_logprobs": [first, {"token": "So", "logprob": -3}]}]
        return value

    _, engine = serve(lambda path, body, n: other if "item" in str(body) else None)
    (output,) = engine.run([letters(1)]).outputs
    assert output.error == ("q-1: none of A, B, C is among the 2 likeliest first tokens (the first is 'The').")
