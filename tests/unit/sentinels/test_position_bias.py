"""One place among the options, whatever stands there."""

import pytest

from pytest_slmsec.sentinels.base import Evidence
from pytest_slmsec.sentinels.position_bias import check


def evidence(*questions):
    """Each question: the letter chosen at each shift of its options; None at 0: this order was not asked."""
    rows = [(f"q{number}", shift, letter) for number, question in enumerate(questions)
            for shift, letter in enumerate(question) if (shift, letter) != (0, None)]  # fmt: skip
    variants = [{"item": name, "kind": "options", "n": shift, "shift": shift, "options": 4} if shift
                else {"item": name, "kind": "typo", "n": 1} for name, shift, _ in rows]  # fmt: skip
    return Evidence("cti-mcq+robust", "phi3", item=[row[0] for row in rows], extracted=[row[2] for row in rows],
                    variant=variants)  # fmt: skip


FIXED, MOVING = (None, "A", "A", "A"), (None, "B", "C", "D")


def test_the_letter_and_the_counts_are_told():
    found = check(evidence(*[FIXED] * 30, *[(None, "C", "C", "C")] * 5, *[MOVING] * 5))
    assert found == ("the same letter was chosen in every order of the options in 35 of 40 questions, A in 30 of them")


@pytest.mark.parametrize(
    "questions",
    [
        [MOVING] * 40,
        [FIXED] * 22 + [MOVING] * 18,
        [(None, "A")] * 40,
        [FIXED] * 2,
        [("A",)] * 40,
        [(None, "A", None)] * 40,
        [],
    ],
    ids=["right", "not surely more than half", "one order", "few", "no order changed", "unread", "no variants"],
)
def test_it_is_silent(questions):
    assert check(evidence(*questions)) is None


def test_the_published_order_is_that_of_other_kinds():
    assert check(evidence(*[("A", "A")] * 20)) is not None
    assert check(evidence(*[("A", "B")] * 20)) is None
