"""Exact match, for short answers of a user's own benchmark."""

import pytest

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.exact import score_exact

ITEM = Item("port-1", "Which port is used by SSH?", "Port 22.")
RIGHT = Score(1.0, True, True, "port 22")


@pytest.mark.parametrize("text", ["Port 22", " port 22 . ", "PORT 22.", "It is the usual one:\nPort 22\n\n"])
@pytest.mark.parametrize("mode", Mode)
def test_case_blanks_and_a_full_stop_do_not_matter(text, mode):
    assert score_exact(ITEM, Output(text=text), mode) == RIGHT


def test_only_strict_reads_markup_and_a_label():
    for text, said in (("**Port 22**", "**port 22**"), ("Answer: port 22", "answer: port 22")):
        assert score_exact(ITEM, Output(text=text), Mode.STRICT) == RIGHT
        assert score_exact(ITEM, Output(text=text), Mode.OFFICIAL) == Score(0.0, True, False, said)


@pytest.mark.parametrize("mode", Mode)
def test_another_answer_is_wrong(mode):
    assert score_exact(ITEM, Output(text="Port 22\nPort 23"), mode) == Score(0.0, True, False, "port 23")
    assert score_exact(ITEM, Output(text="22"), mode) == Score(0.0, True, False, "22")


@pytest.mark.parametrize("text", [None, "", " \n", " . "])
@pytest.mark.parametrize("mode", Mode)
def test_an_empty_answer_is_unparsed_even_if_the_gold_is_empty(text, mode):
    nothing = Score(0.0, False, False, None)
    assert score_exact(ITEM, Output(text=text), mode) == nothing
    assert score_exact(Item("e", "?", ""), Output(text=text), mode) == nothing
