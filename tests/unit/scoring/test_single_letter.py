"""The one letter of an answer in English or Chinese."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import ACCURACY_V2
from pytest_slmsec.scoring.single_letter import official_letter, score_choice, stated_letter

ITEM = Item("i", "?", "B")


@pytest.mark.parametrize(
    ("text", "official", "strict"),
    [
        ("B", "B", "B"),
        (" B\n", "B", "B"),
        ("b", None, "B"),
        ("", None, None),
        ("A, C, D", None, None),
        ("Answer: B", None, "B"),
        ("A. Banks", None, "A"),
        ("B) retail", "B", "B"),
        ("The answer is C", "C", "C"),
        ("Answer: E", "A", None),
        ("Based on the text, it is unclear.", "B", None),
        ("答案是B。", "B", "B"),
        ("B、木马", "B", "B"),
        ("A、C、D", None, None),
        ("选项C正确", "C", "C"),
        ("攻击者使用了DNS隧道", "D", None),
    ],
)
def test_letters(text, official, strict):
    assert (official_letter(text), stated_letter(text)) == (official, strict)


def test_an_unread_answer_is_wrong_and_stays_in_the_denominator_of_both_modes():
    for mode in Mode:
        scores = [score_choice(ITEM, Output(text), mode) for text in ("B", "C", "", "neither nor")]
        result = ACCURACY_V2.aggregate(scores, mode)
        assert (result.value, result.n, result.valid) == (0.25, 4, 2)


@given(st.text(max_size=60))
def test_every_text_is_a_letter_or_none(text):
    assert {official_letter(text), stated_letter(text)} <= {*"ABCD", None}
