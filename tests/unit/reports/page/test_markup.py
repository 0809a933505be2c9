"""Text becomes markup in one place, where nothing in it is markup and everything is seen."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.reports.page.markup import Markup, escaped, tag, visible


def test_text_is_escaped_and_markup_is_not():
    assert tag("p", "a < b & c", tag("b", "d")) == "<p>a &lt; b &amp; c<b>d</b></p>"


def test_attributes():
    made = tag("a", "x", href='#"><b>', class_="c", font_size="3", x=1.25, y=2.0, hidden=True, id=None, open=False)
    assert made == '<a href="#&quot;&gt;&lt;b&gt;" class="c" font-size="3" x="1.2" y="2" hidden="">x</a>'


def test_elements_without_content_are_not_closed():
    assert tag("br") == "<br>"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\u202egnitirw", "[U+202E]gnitirw"),
        ("a\u200bb", "a[U+200B]b"),
        ("\x1b[31m", "[U+001B][31m"),
        ("\ud800", "[U+D800]"),
        ("\U000e0041", "[U+E0041]"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("Zürich 日本 é", "Zürich 日本 é"),
    ],
)
def test_what_is_not_seen_is_named(text, shown):
    assert visible(text) == shown


def test_every_control_format_and_separator_character_is_named():
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in unseen and chr(code) not in "\n\t":
            assert visible(chr(code)) == f"[U+{code:04X}]", hex(code)


@given(st.text())
def test_no_text_is_markup(text):
    assert not set(escaped(text)) & {"<", ">", '"', "'"}
    assert isinstance(escaped(text), Markup)
    escaped(text).encode("utf-8")
