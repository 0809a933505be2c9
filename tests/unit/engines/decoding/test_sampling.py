"""Tokens are drawn as often as their probability says, and the same ones again from the same seed."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.engines.decoding.greedy import Row, append_next_tokens
from pytest_slmsec.engines.decoding.sampling import Sampler

LOGITS = torch.tensor([2.0, 0.5, -1.0, 1.2, float("-inf")])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_as_frequent_as_the_softmax_says(temperature):
    sampler, n = Sampler(temperature, seed=3), 20_000
    counts = Counter(sampler.draw(LOGITS) for _ in range(n))
    expected = torch.softmax(LOGITS.double() / temperature, -1).numpy()
    frequent = np.array([counts[token] / n for token in range(len(LOGITS))])
    # Four standard deviations of a frequency.
    assert np.all(np.abs(frequent - expected) <= 4 * np.sqrt(expected * (1 - expected) / n))
    assert counts[4] == 0


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), st.integers(0, 2**64 - 1))
def test_a_low_temperature_takes_the_maximum_and_a_token_exists_always(values, seed):
    logits = torch.tensor(values)
    token = Sampler(1e-6, seed).draw(logits)
    assert logits[token] >= logits.max() - 1e-4
    assert 0 <= Sampler(1e6, seed).draw(logits) < len(values)


def test_a_seed_gives_the_same_draws_and_another_seed_others():
    first, again, other = (Sampler(1.0, seed) for seed in (7, 7, 8))
    drawn = [[one.draw(torch.zeros(1000)) for _ in range(20)] for one in (first, again, other)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_rows_of_one_batch_may_be_greedy_or_drawn_and_broken_logits_end_either():
    greedy, drawn, broken = (Row([1], 5, lambda tokens: False) for _ in range(3))
    drawn.sampler = broken.sampler = Sampler(1e6, seed=0)
    for _ in range(5):
        append_next_tokens([greedy, drawn, broken], torch.stack([LOGITS, LOGITS, LOGITS * float("nan")]), ())
    assert greedy.tokens == [0] * 5
    assert len(set(drawn.tokens)) > 1
    assert (broken.tokens, broken.finite) == ([], False)
