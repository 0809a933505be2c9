"""Parts of a text that are read one after another."""

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.scoring.spans import Span, spans


def bracket(place):
    """The text in the brackets that open at a place, up to the last closing one, and where that ends."""
    end = place.string.rfind(")") + 1
    return (end, place.string[place.end() : end - 1]) if end > place.end() else None


def brackets(text):
    return list(spans(re.finditer(r"\(", text), bracket))


def test_a_part_inside_another_is_passed_over():
    assert brackets("a (b (c) d) e") == [Span(2, 11, "b (c) d")]


def test_a_place_where_nothing_can_be_read_is_passed_over():
    assert brackets("a (b (c") == []
    read = {0: None, 2: (3, "second")}
    assert list(spans(re.finditer("x", "x-x"), lambda place: read[place.start()])) == [Span(2, 3, "second")]


@given(st.text("x- ", max_size=30), st.integers(1, 4))
def test_parts_never_overlap_and_stand_in_order(text, length):
    found = list(spans(re.finditer("x", text), lambda place: (place.start() + length, None)))
    assert all(first.end <= second.start for first, second in pairwise(found))
