"""Parts of texts."""

import re
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.spans import Span, joined, replaced, some_of, within, without

SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(lambda ends: Span(*sorted(ends))))


@given(SPANS, st.integers(0, 40), st.integers(0, 40))
def test_what_is_free_and_what_is_taken_are_the_whole_zone(taken, start, length):
    zone = Span(start, start + length)
    free = {at for span in without(zone, taken) for at in range(*span)}
    assert free == {at for at in range(*zone) if not any(span.start <= at < span.end for span in taken)}


@given(SPANS)
def test_joined_spans_lie_apart_and_in_order(spans):
    found = joined(spans)
    assert all(one.end < two.start for one, two in pairwise(found))


def test_a_match_does_not_run_out_of_a_free_part():
    text = "abcdef"
    assert within(text, [Span(0, 3), Span(3, 6)], re.compile("[a-z]+")) == [Span(0, 3), Span(3, 6)]


def test_parts_are_replaced_from_behind():
    assert replaced("one two three", [Span(0, 3), Span(8, 13)], lambda word: word.upper() + "!") == "ONE! two THREE!"


def test_some_are_at_least_one_where_there_is_one():
    spans = [Span(at, at + 1) for at in range(30)]
    assert len(some_of(spans, 0.1, Random(1))) == 3
    assert len(some_of(spans[:2], 0.1, Random(1))) == 1
    assert some_of([], 0.1, Random(1)) == []


def test_a_seed_has_each_form_once_and_the_item_says_which_is_first():
    forms = ("a", "b", "c")
    assert {Seed("x", "case", n).form(forms) for n in (1, 2, 3)} == {*forms}
    assert Seed("x", "case", 4).form(forms) is None
    assert {Seed(str(item), "case", 1).form(forms) for item in range(20)} == {*forms}
    assert Seed("x", "case", 1).random().random() == Seed("x", "case", 1).random().random()
    assert Seed("x", "case", 1).random().random() != Seed("x", "typo", 1).random().random()
