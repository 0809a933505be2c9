"""Words for a terminal."""

import sys

import pytest

from pytest_slmsec.core.wrap import columns, counted, folded, for_stderr, shortened, shown, wrapped


@pytest.mark.parametrize(
    ("n", "verb", "text"),
    [(0, "", "0 items"), (1, "", "1 item"), (2_000, "", "2,000 items"), (1, "are", "1 item is"),
     (2, "are", "2 items are"), (1, "have", "1 item has"), (1, "can", "1 item can")],
)  # fmt: skip
def test_what_is_counted_agrees_with_its_number(n, verb, text):
    assert counted(n, "item", verb) == text


def test_what_cannot_be_printed_is_escaped():
    assert shown("a\x1b[31m\u202eb\n\ud800 é") == "a\\x1b[31m\\u202eb\\n\\ud800 é"
    assert shown(22) == "22"


def test_a_quoted_text_is_cut_at_its_length():
    assert shortened("twelve chars", 12) == "twelve chars"
    assert shortened("thirteen char", 12) == "thirteen ..."


def test_one_more_name_is_named_and_two_are_counted():
    assert folded(["a", "b", "c"], 2) == "a, b, c"
    assert folded(["a", "b", "c", "d"], 2) == "a, b and 2 more"
    assert folded(["a", "b", "c", "d"], 2, gap=" | ") == "a | b and 2 more"
    assert folded([str(n) for n in range(2002)], 1) == "0 and 2,001 more"


def test_lines_are_indented_and_no_word_is_cut():
    text = "a " * 30 + "non-inferiority"
    assert wrapped(text.strip(), 60) == ["a " * 29 + "a", "  non-inferiority"]
    assert wrapped("x" * 50, 45) == ["x" * 50]
    # Below 40 columns nothing can be read.
    assert wrapped("a " * 21, 10, indent="") == ["a " * 19 + "a", "a"]
    assert max(map(len, wrapped("ab " * 60))) == 80


def test_the_terminal_says_how_wide_it_is(monkeypatch):
    monkeypatch.setenv("COLUMNS", "47")
    assert columns() == 47


def test_a_sentence_on_standard_error_is_wrapped_for_a_terminal_only(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    sentence = "a " * 25 + "end."
    assert for_stderr(sentence) == sentence
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert for_stderr(sentence) == "a " * 19 + "a\n  a a a a a end."
