"""One number, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.exact_number import official_number, score_number, strict_number

ITEM = Item("i", "?", "1250.50")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7.5", "7.5"),
        ("3 x 2.50 = 7.50 crowns.", "7.50"),
        ("The duty is **1,250.50** crowns", "1250.50"),
        ("Answer: 0", "0"),
        ("First 3.\nThen 4.", "4"),
        ("-3", "-3"),
        ("none", None),
        ("", None),
        ("12 goods\nno duty", None),
        ("9" * 100, None),
        ("v1.2x", None),
    ],
)
def test_strict_mode_reads_the_last_number_of_the_last_line(text, number):
    assert strict_number(text) == (None if number is None else Decimal(number))


def test_official_mode_reads_a_line_that_is_the_number():
    assert official_number("So:\n1,250.50") == Decimal("1250.50")
    assert official_number("1,250.50 crowns") is None


def test_equal_amounts_are_equal_however_they_are_written():
    assert score_number(ITEM, Output("1250.5"), Mode.STRICT).correct
    near = score_number(ITEM, Output("1250.49"), Mode.STRICT)
    assert (near.value, near.parsed, near.extracted) == (0.0, True, "1250.49")
    assert not score_number(ITEM, Output("nothing"), Mode.STRICT).parsed


@given(st.text(max_size=60) | st.text("0123456789.,- \n", max_size=60))
def test_every_text_has_a_score(text):
    for mode in Mode:
        assert score_number(ITEM, Output(text), mode).value in (0.0, 1.0)


@given(st.decimals(0, 10**9, places=2))
def test_a_written_amount_is_read_again(amount):
    assert strict_number(f"{amount:,}") == strict_number(f"**{amount}** crowns") == amount
