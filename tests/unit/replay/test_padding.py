"""Token counts that are those of a padded batch are no measurement."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.replay.padding import padding

WORDS = ["a", "a short one", "an answer of some more words", "the longest answer of all that are in this batch"]


def test_one_count_for_texts_of_many_lengths_is_padding():
    why = padding([12, 12, 12, 12], WORDS, 4)
    assert why == "within each batch of 4 every answer has the same token count, so padding was counted as tokens"


def test_one_count_for_equal_texts_may_be_right():
    assert padding([3, 3, 3, 3], ["B"] * 4, 2) is None


def test_equal_texts_with_other_counts_in_the_next_batch_are_padding():
    assert padding([3, 3, 9, 9], ["B"] * 4, 2)


def test_a_batch_of_one_proves_nothing():
    assert padding([5, 5, 5, 5], WORDS, 1) is None
    assert padding([5, 5, 5, 5], WORDS, None) is None


def test_more_tokens_than_bytes_are_padding_in_a_batch_of_any_size():
    why = padding([279, 5], ["twenty-two characters.", "a few words"], None)
    assert why == (
        "1 of 2 answers have more tokens than bytes (one of 22 bytes has 279 tokens), so padding was counted as tokens"
    )


@given(st.lists(st.text(min_size=1, max_size=30), min_size=2, max_size=12), st.integers(2, 4))
def test_counts_of_the_texts_themselves_are_believed(texts, batch):
    counts = [len(text) for text in texts]
    assert padding(counts, texts, batch) is None or len(set(counts[:batch])) == 1


@pytest.mark.parametrize("batch", [2, 3])
def test_a_last_batch_may_be_smaller(batch):
    assert padding([9] * batch + [4], [*WORDS[:batch], "end"], batch)
