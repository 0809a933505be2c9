"""Lists as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.synthesize.lists import clean, read_list


@pytest.mark.parametrize("text", [
    "Spear phishing\nVishing",
    "1. Spear phishing\n2. Vishing",
    "Here are two subtopics:\n\n1) **Spear phishing**\n   with a target\n2) **Vishing**\n\nWant more?",
    "- Spear phishing\n- \u201cVishing\u201d",
    "Subtopics of phishing:\nSpear phishing\nVishing",
    '["Spear phishing", "Vishing"]',
    '```json\n["Spear phishing",\n "Vishing"]\n```',
    "Question 1: Spear phishing\nQuestion 2: Vishing",
    "# Subtopics\n`Spear phishing`\n  Vishing  ",
])  # fmt: skip
def test_every_form_gives_its_entries(text):
    assert read_list(text) == ["Spear phishing", "Vishing"]


@pytest.mark.parametrize("text", ["", " \n\t\n", "Sure, here they are:", "```\n```", "[]"])
def test_no_list_is_no_entry(text):
    assert [entry for entry in read_list(text) if entry != "[]"] == []


def test_numbers_that_belong_to_the_entry_stay():
    assert read_list("1. 2FA by text message\n2. 802.1X") == ["2FA by text message", "802.1X"]
    assert read_list("CVE-2021-44228 and its relatives\n3DES") == ["CVE-2021-44228 and its relatives", "3DES"]


@given(st.text())
def test_anything_is_read_and_entries_are_one_printable_line_each(text):
    for entry in read_list(text):
        assert entry
        assert entry.isprintable()


@given(st.text())
def test_cleaning_twice_changes_nothing_more_than_quotes_and_emphasis(text):
    once = clean(text)
    assert len(clean(once)) <= len(once)
