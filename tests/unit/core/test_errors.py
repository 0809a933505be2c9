"""Exceptions as sentences."""

import pytest

from pytest_slmsec.core.errors import EngineError, one_sentence


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (EngineError("the context is too short"), "item-7: the context is too short"),
        (EngineError("item-7 was not answered"), "item-7 was not answered"),
        (EngineError("two\nlines"), "item-7: two lines"),
        (KeyError(3), "item-7: KeyError: 3"),
        (RuntimeError(), "item-7: RuntimeError: no reason given"),
    ],
)
def test_a_failure_is_one_sentence_that_names_the_item(error, says):
    assert one_sentence("item-7", error) == says
