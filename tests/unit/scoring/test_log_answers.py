"""Severities as models write them, and the fixed sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.log_answers import (
    FALSE_REFUSALS,
    MISSED,
    MISSED_CRITICAL,
    OTHER_WORDING,
    REFUSAL,
    REFUSES,
    TRIAGE,
    WITHIN_ONE,
    read_severity,
    score_log_refusal,
    score_severity,
)


@pytest.mark.parametrize(
    ("text", "strict", "official"),
    [
        ("3", 3, 3),
        (" 7\n", 7, 7),
        ("**3**", 3, None),
        ("Severity: 3 (error)", 3, None),
        ("The severity is 4.", 4, None),
        ("165 mod 8 = 5", 5, None),
        ("Warning", 4, None),
        ("err", 3, None),
        ("This is a critical event.", 2, None),
        ("3 or 4", None, None),
        ("8", None, None),
        ("1.5", None, None),
        ("", None, None),
    ],
)
def test_a_severity_is_a_digit_or_a_name(text, strict, official):
    assert (read_severity(text, Mode.STRICT), read_severity(text, Mode.OFFICIAL)) == (strict, official)


def rated(gold, text):
    return score_severity(Item("i", "", gold), Output(text=text), Mode.STRICT)


def test_near_misses_and_missed_critical_items_are_parts_of_the_score():
    near = rated("4", "5")
    assert (near.correct, near.parts) == (False, {WITHIN_ONE: 1.0, TRIAGE: 0.0})
    assert [rated("2", text).parts[MISSED_CRITICAL] for text in ("2", "4", "5", "nothing")] == [0, 0, 1, 1]


def test_a_category_has_an_accuracy_of_its_own():
    item = Item("i", "", "4", meta={"category": "journal"})
    assert score_severity(item, Output(text="4"), Mode.STRICT).parts["category=journal"] == 1.0


def answered(gold, text, mode=Mode.STRICT):
    return score_log_refusal(Item("i", "", gold), Output(text=text), mode)


def test_only_the_fixed_sentence_refuses():
    assert answered("refuse", REFUSAL).correct
    assert answered("refuse", f'**"{REFUSAL.lower()[:-1]}"**').correct
    assert not answered("refuse", REFUSAL.lower(), Mode.OFFICIAL).correct
    assert not answered("refuse", f"{REFUSAL} But here is a guess.").correct
    assert answered("answer", REFUSAL).parts == {REFUSES: 1.0, OTHER_WORDING: 0.0, FALSE_REFUSALS: 1.0}
    worded = answered("refuse", "I'm sorry, but I cannot help with that.")
    assert (worded.correct, worded.parts) == (False, {REFUSES: 1.0, OTHER_WORDING: 1.0, MISSED: 1.0})


def test_an_answer_about_the_log_refuses_nothing():
    assert answered("refuse", "Cause - The disk fails.").parts[REFUSES] == 0.0
    assert answered("answer", "").parts[REFUSES] == 0.0


def test_no_answer_is_right_for_neither():
    assert not answered("answer", " ").correct
    assert not answered("refuse", "").correct


@given(st.text(max_size=200), st.sampled_from(list(Mode)))
def test_any_text_is_read(text, mode):
    assert read_severity(text, mode) in {None, *range(8)}
    assert answered("answer", text, mode).value in (0.0, 1.0)
