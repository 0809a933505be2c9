"""One name out of a list."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.stated_name import score_name, stated_name

NAMES = ("date of birth", "document number", "none", "tip")
ITEM = Item("i", "?", "tip", meta={"names": list(NAMES), "shares": ["TD1"]})


@pytest.mark.parametrize("text", ["tip", " Tip.", "It fails here.\ntip"])
def test_both_modes_read_a_last_line_that_is_the_name(text):
    assert stated_name(text, NAMES, Mode.OFFICIAL) == stated_name(text, NAMES, Mode.STRICT) == "tip"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("**tip**", "tip"),
        ("Intent: tip", "tip"),
        ("It is tip, not date of birth.", "tip"),
        ("It is not tip.", None),
        ("I don't think it is tip.", None),
        ("Is it tip?", None),
        ('{"answer": "tip"}', "tip"),
        ("The answer is date of birth.", "date of birth"),
        ("The check digit of the document number fails.", "document number"),
        ("tip or none", None),
        ("tips", None),
        ("non-tip", None),
        ("", None),
        ("tip\nI do not know", None),
    ],
)
def test_strict_mode_reads_through_form_and_refuses_several_names(text, name):
    assert stated_name(text, NAMES, Mode.STRICT) == name
    assert stated_name(text, NAMES, Mode.OFFICIAL) is None


def test_a_score_counts_for_its_kinds_and_an_item_without_names_is_free_text():
    assert score_name(ITEM, Output("tip"), Mode.STRICT).parts == {"accuracy:TD1": 1.0}
    wrong = score_name(ITEM, Output("none"), Mode.STRICT)
    assert (wrong.value, wrong.parsed, wrong.extracted, wrong.parts) == (0.0, True, "none", {"accuracy:TD1": 0.0})
    free = Item("i", "?", "ANNA MARIA", meta={"names": []})
    assert score_name(free, Output("Answer: Anna Maria"), Mode.STRICT).correct
    with pytest.raises(KeyError):
        score_name(Item("i", "?", "tip"), Output("tip"), Mode.STRICT)


@given(st.text(max_size=60) | st.text("tip none:.\n*", max_size=30))
def test_every_text_has_a_score(text):
    for mode in Mode:
        assert score_name(ITEM, Output(text), mode).value in (0.0, 1.0)
