"""Objects and lists out of texts, as JSON or Python spells them."""

import json
import warnings

import pytest
from hypothesis import given
from json_values import structures

from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.structures import structure_of, structure_within


@given(structures)
def test_what_json_and_python_write_is_read_again(value):
    assert structure_of(json.dumps(value)) == structure_of(repr(value)) == structure_within(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["", "3", "'a'", "{'a': b}", "{1, 2}", "f('a')", "[" * 5000, "{" + "1" * 200_000])
def test_what_is_no_object_or_list_is_none(text):
    assert structure_of(text) is None


@pytest.mark.parametrize("read", [structure_of, structure_within, plain_text])
def test_an_escape_that_python_does_not_know_is_no_warning(read):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "B" in str(read(r"{'answer': 'B', 'path': 'C:\web'}"))


@pytest.mark.parametrize("text", ["{'answer': 'B'}", "{1: 'B'}", '{"1": "B"}', "{None: 0, 'choice': 'B'}"])
def test_the_answer_of_an_object_has_any_kind_of_key(text):
    assert plain_text(text).strip() == "Answer: B"
