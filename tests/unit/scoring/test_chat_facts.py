"""Key facts in free answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.chat_facts import score_chat_facts, score_reference

GOLD = json.dumps({"facts": [["encrypts", "locks"], ["payment", "money"]], "forbid": ["pay the ransom"]})
ITEM = Item("i", "?", GOLD)
TURN = Item("i", "?", GOLD, meta={"history": True})


def score(text, item=ITEM, mode=Mode.STRICT):
    return score_chat_facts(item, Output(text), mode)


@pytest.mark.parametrize(
    ("text", "recall", "right"),
    [
        ("It encrypts files and wants money.", 1.0, True),
        ("They demand **payments**.\n\n* Files are locked.", 1.0, True),
        ("It encrypts files.", 0.5, False),
        ("It encrypts files and wants money. Pay the ransom at once.", 1.0, False),
        ("A worm.", 0.0, False),
        ("", 0.0, False),
    ],
)
def test_recall_counts_facts_and_right_is_all_of_them_without_anything_forbidden(text, recall, right):
    found = score(text)
    assert (found.value, found.correct, found.parsed) == (recall, right, bool(text))
    assert found.parts["complete"] == float(right)


def test_turns_that_need_an_earlier_one_are_counted_by_themselves():
    assert "accuracy:history" not in score("x").parts
    assert score("It encrypts files and wants money.", TURN).parts["accuracy:history"] == 1.0
    assert score("It encrypts files.", TURN).parts["accuracy:history"] == 0.0


def test_chrf_is_highest_for_the_reference_and_nothing_for_silence():
    pytest.importorskip("sacrebleu")
    item = Item("i", "?", "Salting adds random bytes.")
    same, near, none = (score_reference(item, Output(text), Mode.STRICT) for text in
                        (item.gold, "Salting adds some bytes.", " "))  # fmt: skip
    assert same.value == pytest.approx(1.0)
    assert same.value > near.value > none.value == 0.0
    assert (same.parsed, none.parsed) == (True, False)


@given(st.text(max_size=80))
def test_every_text_has_a_score(text):
    for mode in Mode:
        assert 0.0 <= score(text, mode=mode).value <= 1.0
