"""One text at a time: guessed tokens save passes through the model and change no text."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.decoding.uncached import generate_uncached

VOCABULARY = 12
END = 11


class Model:
    """Says after each token what a table says, and counts how often it is asked."""

    def __init__(self, table):
        self.table, self.passes = table, 0

    def logits(self, text, start):
        self.passes += 1
        return torch.eye(VOCABULARY)[[self.table[token] for token in text[start:]]]


def generated(table, prompt, limit, drafted):
    model, row = Model(table), Row(prompt, limit, lambda tokens: False)
    generate_uncached(model.logits, row, (END,), lambda: 0.0, drafted)
    return row, model.passes


TABLES = st.lists(st.integers(0, VOCABULARY - 1), min_size=VOCABULARY, max_size=VOCABULARY)


@given(TABLES, st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=20), st.integers(1, 60), st.integers(1, 8))
def test_guesses_change_no_text_and_cost_no_pass(table, prompt, limit, drafted):
    plain, passes = generated(table, prompt, limit, 0)
    guessed, fewer = generated(table, prompt, limit, drafted)
    assert (guessed.tokens, guessed.ended) == (plain.tokens, plain.ended)
    assert passes == len(plain.tokens)
    assert fewer <= passes


def test_a_text_that_turns_in_a_circle_takes_few_passes():
    table = [1, 2, 3, 0, *range(4, VOCABULARY)]
    row, passes = generated(table, [0], 60, 8)
    assert row.tokens == [1, 2, 3, 0] * 15
    assert passes < 20


def test_logits_that_are_not_finite_behind_a_guess_harm_nothing():
    """Token 5 stands behind 1, 2, 3 in the prompt and is guessed; the model never says it, and breaks where it is
    fed."""
    table = [1, 2, 3, 0, 4, 5, *range(6, VOCABULARY)]
    model, row = Model(table), Row([1, 2, 3, 5, 0], 12, lambda tokens: False)
    broken = []

    def logits(text, start):
        found, at = model.logits(text, start), [token == 5 for token in text[start:]]
        found[at] = float("nan")
        broken.append(any(at))
        return found

    generate_uncached(logits, row, (), lambda: 0.0, 8)
    assert any(broken)
    assert row.finite
    assert row.tokens == [1, 2, 3, 0] * 3
