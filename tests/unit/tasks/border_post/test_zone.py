"""Check digits of travel documents, with the specimens printed in ICAO Doc 9303 (parts 4 and 5, appendices)."""

from datetime import date
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.tasks.border_post.zone import (
    BIRTH,
    CHARACTERS,
    COMPOSITE,
    EXPIRY,
    GIVEN,
    LAYOUTS,
    NUMBER,
    OPTIONAL,
    SURNAME,
    Span,
    born,
    check_digit,
    failing_digits,
    sealed,
    trouble_with,
    values_of,
    with_text,
)

PASSPORT = ["P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<", "L898902C36UTO7408122F1204159ZE184226B<<<<<10"]
CARD = ["I<UTOD231458907<<<<<<<<<<<<<<<", "7408122F1204159UTO<<<<<<<<<<<6", "ERIKSSON<<ANNA<MARIA<<<<<<<<<<"]
SPECIMENS = {"TD3": PASSPORT, "TD1": CARD}
kinds = st.sampled_from(sorted(SPECIMENS))
TODAY = date(2011, 5, 4)


@pytest.mark.parametrize("kind", SPECIMENS)
def test_the_specimens_of_the_standard_are_intact(kind):
    zone = SPECIMENS[kind]
    assert trouble_with(zone, kind) is None
    assert failing_digits(zone, kind) == []
    assert sealed(zone, kind) == zone


def test_the_fields_are_read_as_a_person_writes_them():
    found = values_of(PASSPORT, "TD3", TODAY)
    assert (found[SURNAME], found[GIVEN], found[NUMBER]) == ("ERIKSSON", "ANNA MARIA", "L898902C3")
    assert (found[BIRTH], found[EXPIRY]) == ("1974-08-12", "2012-04-15")
    assert values_of(CARD, "TD1", TODAY) == found | {NUMBER: "D23145890"}


def test_a_year_of_birth_is_the_last_such_year():
    assert born("110504", TODAY) == date(2011, 5, 4)
    assert born("110505", TODAY) == date(1911, 5, 5)


def test_weights_begin_with_7_and_letters_count_from_10():
    assert check_digit("1") == "7"
    assert check_digit("01") == "3"
    assert check_digit("A<<") == check_digit("0") == "0"
    assert check_digit("D23145890") == "7"


@pytest.mark.parametrize(
    ("kind", "span", "text", "failing"),
    [
        ("TD3", Span(1, 0, 1), "M", [NUMBER]),
        ("TD3", Span(1, 13, 14), "8", [BIRTH]),
        ("TD3", Span(1, 26, 27), "6", [EXPIRY]),
        ("TD3", Span(1, 28, 29), "Y", [OPTIONAL]),
        ("TD3", Span(1, 43, 44), "1", [COMPOSITE]),
        ("TD1", Span(0, 20, 21), "7", [COMPOSITE]),  # optional data of a card have no digit of their own
        ("TD1", Span(1, 8, 9), "2", [EXPIRY]),
        ("TD3", Span(0, 5, 6), "X", []),  # no check digit covers the names
        ("TD3", Span(1, 20, 21), "M", []),  # nor the sex
    ],
)
def test_a_damaged_element_is_named(kind, span, text, failing):
    assert failing_digits(with_text(SPECIMENS[kind], span, text), kind) == failing


@given(kinds, st.data())
def test_a_sealed_zone_is_intact_and_the_filler_may_stand_for_the_digit_of_nothing(kind, data):
    layout = LAYOUTS[kind]
    lines = [data.draw(st.text(CHARACTERS + "<", min_size=layout.width, max_size=layout.width))] * layout.lines
    zone = sealed(lines, kind)
    assert failing_digits(zone, kind) == []
    assert sealed(zone, kind) == zone


def test_no_optional_data_may_have_the_filler_as_digit():
    zone = with_text(PASSPORT, Span(1, 28, 43), "<" * 15)
    assert OPTIONAL not in failing_digits(zone, "TD3")


def test_one_substitution_in_thirteen_is_not_seen():
    pairs = list(permutations(CHARACTERS + "<", 2))
    unseen = [pair for pair in pairs if check_digit(pair[0]) == check_digit(pair[1])]
    assert ("6", "G") in unseen
    assert len(unseen) / len(pairs) == pytest.approx(0.078, abs=5e-4)


@given(st.sampled_from("0123456789"), st.sampled_from("0123456789"))
def test_neighbours_that_differ_by_five_may_be_swapped_unseen(one, other):
    assert (check_digit(one + other) == check_digit(other + one)) == (abs(int(one) - int(other)) in (0, 5))


@pytest.mark.parametrize(
    ("zone", "trouble"),
    [
        (PASSPORT[:1], "a TD3 zone has 2 lines and this one has 1"),
        ([PASSPORT[0], PASSPORT[1][:-1]], "line 2 has 43 characters and a TD3 zone has 44"),
        ([PASSPORT[0].replace("R", "r"), PASSPORT[1]], "line 1 holds 'r' at place 7, where only A-Z, 0-9 and < may be"),
    ],
)
def test_what_is_no_zone_is_told(zone, trouble):
    assert trouble_with(zone, "TD3") == trouble
