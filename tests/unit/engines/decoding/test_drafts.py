"""Guessed tokens come from the answer's own text, and change which steps are run, never which tokens are chosen."""

import pytest
import torch
from architectures import PACKABLE, made
from hypothesis import given
from hypothesis import strategies as st
from random_rows import rows

from pytest_slmsec.engines.decoding.drafts import Drafts
from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.packed.generator import ContinuousBatchGenerator
from pytest_slmsec.engines.packed.model import PackedModel

ENDS = (2,)


def never(tokens):
    return False


def test_what_followed_the_last_tokens_before_is_guessed_again():
    assert Drafts([1, 2, 3, 4, 5, 9, 1, 2, 3], most=8).guess(8) == [4, 5]


def test_the_latest_earlier_place_counts():
    assert Drafts([1, 2, 3, 4, 1, 2, 3, 5, 6, 1, 2, 3], most=8).guess(8) == [5, 6]


def test_a_text_that_turns_in_a_circle_is_continued():
    drafts = Drafts([7, 8, 7, 8, 7, 8], most=8)
    drafts.learn(2, 2)
    assert drafts.guess(8) == [7, 8, 7, 8]


@pytest.mark.parametrize("text", [[], [1], [1, 2, 3], [1, 2, 3, 4, 5, 6]])
def test_nothing_is_guessed_where_nothing_repeats(text):
    assert Drafts(text, most=8).guess(8) == []


def test_guesses_grow_while_they_are_right_and_shrink_when_they_are_wrong():
    drafts, lengths = Drafts([1] * 9, most=8), []
    for right in (2, 4, 8, 8, 3, 1, 0, 0):
        lengths.append(len(drafts.guess(99)))
        drafts.learn(lengths[-1], min(right, lengths[-1]))
    assert lengths == [2, 4, 8, 8, 8, 4, 2, 1]


@given(st.lists(st.integers(0, 3), max_size=40), st.lists(st.integers(0, 3), max_size=20), st.integers(0, 9))
def test_a_guess_is_short_enough_and_the_same_however_the_text_came_in(text, more, room):
    whole, grown = Drafts(text + more, most=8), Drafts(text, most=8)
    for token in more:
        grown.guess(room)
        grown.follow([token])
    assert whole.guess(room) == grown.guess(room)
    assert len(whole.guess(room)) <= min(room, 2)


@pytest.mark.parametrize("name", PACKABLE)
@pytest.mark.parametrize("shared", [0, 17])
def test_guesses_change_no_text(name, shared):
    model = PackedModel(made(PACKABLE[name]), 128)
    plain, drafted = rows(8, shared, limit=60), rows(8, shared, limit=60)
    ContinuousBatchGenerator(model, slots=3, drafted=0).generate(plain, ENDS)
    ContinuousBatchGenerator(model, slots=3, drafted=8).generate(drafted, ENDS)
    assert [row.tokens for row in drafted] == [row.tokens for row in plain]
    assert [row.ended for row in drafted] == [row.ended for row in plain]


def test_guesses_save_steps_where_a_text_turns_in_a_circle(monkeypatch):
    """This model of random weights says one token again and again."""
    model = made(PACKABLE["Gemma3"])
    steps = []
    for most in (0, 8):
        asked = [Row([5, 6, 7], 60, never)]
        packed = PackedModel(model, 128)
        decode = packed.decode

        def counted(*fed, decode=decode, most=most):
            steps.append(most)
            return decode(*fed)

        monkeypatch.setattr(packed, "decode", counted)
        ContinuousBatchGenerator(packed, drafted=most).generate(asked, ())
        assert len(asked[0].tokens) == 60
    assert steps.count(8) < steps.count(0) / 3


def test_a_guess_that_gives_no_finite_logits_harms_nothing(monkeypatch):
    """Token 50 follows 7, 8, 9 in the prompt and so is guessed; its embedding is made to be NaN once it was fed."""
    model = made(PACKABLE["Llama"])
    prompt = [7, 8, 9, 50, 11, 12, 13, 7, 8, 9]
    spoiled = PackedModel(model, 128)
    feed = spoiled.feed

    def fed(*args):
        hidden = feed(*args)
        with torch.no_grad():
            model.model.embed_tokens.weight[50] = float("nan")
        return hidden

    plain, drafted = Row(prompt, 12, never), Row(prompt, 12, never)
    ContinuousBatchGenerator(PackedModel(model, 128), drafted=0).generate([plain], ())
    guesses = []
    guess = Drafts.guess

    def remembered(self, room):
        guesses.append(guess(self, room))
        return guesses[-1]

    monkeypatch.setattr(spoiled, "feed", fed)
    monkeypatch.setattr(Drafts, "guess", remembered)
    monkeypatch.setattr(Drafts, "__init__", _eager(Drafts.__init__, prompt))
    ContinuousBatchGenerator(spoiled, drafted=8).generate([drafted], ())
    assert any(50 in one for one in guesses)
    assert (drafted.tokens, drafted.finite) == (plain.tokens, True)


def _eager(init, prompt):
    """The text that guesses are looked up in ends with the prompt, so that its fourth token is guessed at once."""

    def made_of(self, text, most):
        init(self, prompt, most)

    return made_of


def test_the_record_says_how_many_tokens_are_guessed_and_a_setting_turns_it_off(tiny, load):
    guessing, plain = load(tiny), load(tiny, guesses=False)
    assert guessing.info.extra["guessed_tokens"] == guessing.packed.drafted == 8
    assert "guessed_tokens" not in plain.info.extra
    assert plain.packed.drafted == 0
