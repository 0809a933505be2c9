"""Batches under a token budget."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.engines.prompting.batching import Size, continuation_rows, cut

sizes_drawn = st.lists(
    st.builds(Size, st.sampled_from(["choose", "generate"]), st.integers(1, 5), st.integers(0, 500)), max_size=60
)


@given(sizes_drawn, st.integers(1, 4000), st.integers(1, 16))
def test_every_index_once_within_budget_and_one_kind_each(sizes, budget, most):
    batches = cut(sizes, budget, most)
    assert sorted(index for batch in batches for index in batch) == list(range(len(sizes)))
    for batch in batches:
        members = [sizes[index] for index in batch]
        padded = sum(member.rows for member in members) * max(member.tokens for member in members)
        assert len(batch) == 1 or padded <= budget
        assert len(batch) <= most
        assert len({member.kind for member in members}) == 1


def test_longest_first_and_equal_lengths_in_their_order():
    assert cut([Size("generate", 1, n) for n in (10, 30, 10, 30)], 60, 8) == [[1, 3], [0, 2]]


def test_choices_of_one_token_need_no_rows_of_their_own():
    assert continuation_rows([(1,), (2,), (3,)]) == []


def test_a_choice_that_begins_another_shares_its_row():
    assert continuation_rows([(1, 2), (1, 2, 3, 4), (1, 5, 6), (9,)]) == [(1, 2, 3), (1, 5)]


tokens = st.lists(st.integers(1, 3), min_size=1, max_size=6).map(tuple)


@given(st.lists(tokens, min_size=1, max_size=6))
def test_every_choice_finds_all_it_needs_in_one_row(choices):
    rows = continuation_rows(choices)
    for choice in choices:
        assert len(choice) == 1 or any(row[: len(choice) - 1] == choice[:-1] for row in rows)
    assert not any(one != other and other[: len(one)] == one for one in rows for other in rows)
