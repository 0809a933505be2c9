"""The weakness id of an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cwe import canonical_cwe, official_cwe, score_cwe, strict_cwe

ids = st.integers(1, 1435).map(lambda number: f"CWE-{number}")


@pytest.mark.parametrize(
    "text",
    ["CWE-79", "cwe-79", "CWE ID: 79", "CWE-ID is CWE-79.", "CWE-ID: 79", "**CWE-79**", "(CWE-79)", "CWE-079", "CWE 79",
     "First CWE-20, then CWE-89; the last line:\nCWE-79", "CWE-79: Cross-site Scripting"],
)  # fmt: skip
def test_usual_spellings(text):
    assert strict_cwe(text) == "CWE-79"


@pytest.mark.parametrize(
    "text", ["", "CVE-2021-44228", "CWE ID: VDB-250567", "CWE-1111111111111", "a CWE\n1. first", "CWE-0"]
)
def test_what_is_no_weakness_id(text):
    assert strict_cwe(text) is None


def test_official_reads_capitals_and_hyphens_only_unless_the_whole_answer_begins_with_an_id():
    assert official_cwe("so CWE-20 or CWE-79 it is") == "CWE-79"
    assert official_cwe("CWE ID: 79") is None
    assert official_cwe("cwe-79") == "CWE-79"
    assert official_cwe("Error") is None
    assert official_cwe("") is None


@given(st.text())
def test_any_text_gives_an_id_or_none(text):
    found = strict_cwe(text)
    assert found is None or found.removeprefix("CWE-").isdecimal()
    official = official_cwe(text)
    assert official is None or official.startswith("CWE-")


@given(ids, st.sampled_from(["{}", "It is {}.", "Not CWE-1 but\n{}", "**{}**", "CWE ID: {}"]))
def test_a_rendered_answer_gives_the_id_back_in_both_modes(cwe, form):
    assert strict_cwe(form.format(cwe)) == official_cwe(form.format(cwe)) == cwe


def test_an_unparsed_answer_is_wrong():
    score = score_cwe(Item("r-1", "?", "CWE-79"), Output(text="no idea"), Mode.STRICT)
    assert (score.value, score.parsed, score.correct) == (0.0, False, False)
    assert score_cwe(Item("r-1", "?", "CWE-79"), Output(text="cwe 79"), Mode.STRICT).correct


@pytest.mark.parametrize(
    ("text", "cwe"),
    [
        # An id that opens the answer comes before a later statement, ...
        ("CWE-79. The weakness is a child of CWE-74, so the parent maps to CWE-707 in that view", "CWE-79"),
        ('"(CWE-79), because. It maps to CWE-20 in older lists', "CWE-79"),
        # ... one that does not open it gives way.
        ("For CWE-79. It maps to CWE-20 in this list", "CWE-20"),
        # Alone on a line, with a label or a title, before anything else.
        ("CWE-20, because input is not checked.\nFinal answer: CWE-79\nThe weakness is CWE-20 too.", "CWE-79"),
        ("CWE-79: Cross-site Scripting\nIt is a form of injection and maps to CWE-20 as well.", "CWE-79"),
        # A statement before a mention, the last mention else.
        ("Seen with CWE-20; the weakness is CWE-79. Also CWE-22 here", "CWE-79"),
        ("See CWE-20 here, and there CWE-79", "CWE-79"),
    ],
)
def test_the_strongest_reading_counts(text, cwe):
    assert strict_cwe(text) == cwe


def test_zeros_in_front_count_in_official_only():
    assert canonical_cwe(" cwe-0079 ") == "CWE-79"
    assert canonical_cwe("NVD-CWE-noinfo") == "NVD-CWE-noinfo"
    item = Item("r-1", "?", "CWE-079")
    strict, official = (score_cwe(item, Output(text="CWE-79"), mode) for mode in (Mode.STRICT, Mode.OFFICIAL))
    assert (strict.value, strict.correct, strict.extracted) == (1.0, True, "CWE-79")
    assert (official.value, official.parsed, official.correct) == (0.0, True, False)
    assert score_cwe(item, Output(text=None), Mode.OFFICIAL).parsed is False
