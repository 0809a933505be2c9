"""chrF of the package sacrebleu, and the form beside it."""

import pytest

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.chrf import FORM, score_chrf
from pytest_slmsec.scoring.log_answers import REFUSAL

GOLD = "Cause - The disk is full. Remediation - 1. Delete old logs."


def scored(text, gold=GOLD):
    return score_chrf(Item("i", "", gold), Output(text=text), Mode.STRICT)


def test_equal_texts_have_chrf_1_and_no_text_has_0():
    assert scored(GOLD).value == pytest.approx(1)
    assert scored("").value == 0
    assert 0 < scored(GOLD.replace("disk", "partition")).value < 1


def test_form_and_refusal_count_apart_from_the_wording():
    assert (scored(GOLD).correct, scored(REFUSAL).correct, scored(REFUSAL, REFUSAL).correct) == (True, False, True)
    assert scored("The disk is full.").parts[FORM] == 0
