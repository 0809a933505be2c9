"""What is told about variants."""

import pytest

from pytest_slmsec.core.items import Score
from pytest_slmsec.perturb.option_order import moved_letters
from pytest_slmsec.reports.robustness import first_choice, robust_result, sentences
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import ACCURACY


def row(item, kind, n, correct, extracted="A", parts=None, **variant):
    score = {"value": float(correct), "parsed": True, "correct": correct, "extracted": extracted, "parts": parts or {}}
    return {"item": f"{item}#{kind}{n}", "cluster": item, "score": score,
            "variant": {"item": item, "kind": kind, "n": n, **variant}}  # fmt: skip


def clean(item, correct, extracted="A"):
    return {**row(item, "typo", 1, correct, extracted), "item": item, "variant": None}


def result(rows, originals=()):
    plain = ACCURACY.aggregate([Score(**one["score"]) for one in rows], Mode.STRICT)
    return robust_result(plain, rows, list(originals), 1.0, True)


def test_published_texts_kinds_flips_and_items_that_are_right_throughout():
    rows = [row("a", "typo", 1, True), row("a", "case", 1, False), row("b", "typo", 1, True), row("b", "case", 1, True)]
    found = result(rows, [clean("a", True), clean("b", False), clean("c", True)])
    assert found.value == 0.75
    assert found.extras == {"clean": 0.5, "flips": 0.75, "all_variants_right": 0.5, "kind=typo": 1.0, "kind=case": 0.5}


def test_without_the_published_texts_there_are_no_flips():
    assert result([row("a", "typo", 1, True), row("b", "typo", 1, True)]).extras["flips"] is None


def test_variants_that_move_together_count_as_one_item():
    right = [row(str(item), "typo", n, item < 30) for item in range(60) for n in range(1, 6)]
    apart = [row(str(item), "typo", n, (item + n) % 2 == 0) for item in range(60) for n in range(1, 6)]
    together, independent = result(right), result(apart)
    assert together.value == independent.value == 0.5
    assert together.high - together.low == pytest.approx(5**0.5 * (independent.high - independent.low), rel=0.03)


def test_where_all_are_right_only_the_items_count():
    rows = [row(str(item), "typo", n, True) for item in range(20) for n in range(1, 6)]
    assert (result(rows).low, result(rows).high) == (
        ACCURACY.aggregate([Score(1, True, True)] * 20, Mode.STRICT).low,
        1.0,
    )


def test_one_item_alone_has_no_interval():
    found = result([row("a", "typo", 1, True), row("a", "typo", 2, False)])
    assert (found.value, found.low, found.high) == (0.5, None, None)


def test_one_option_in_every_order_is_consistent():
    def orders(item, letters):
        return [row(item, "options", n, True, letter, shift=n, options=4) for n, letter in enumerate(letters, 1)]

    rows = [*orders("a", "BCD"), *orders("b", "AAA"), *orders("c", ["B", None, "D"])]
    found = result(rows, [clean("a", True, "A"), clean("b", True, "A"), clean("c", True, "A")])
    assert found.extras["consistent"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("letters", ["A", "AC", "A,C", "B, D"])
@pytest.mark.parametrize("shift", [0, 1, 2, 3])
def test_a_shift_is_taken_back(letters, shift):
    moved = moved_letters(letters, ",", shift, 4)
    assert first_choice(moved, shift, 4) == frozenset(letter for letter in letters if letter.isalpha())


@pytest.mark.parametrize("extracted", [None, "", "E", "none"])
def test_what_is_no_option_is_no_choice(extracted):
    assert first_choice(extracted, 1, 4) is None


def test_injections_that_succeed_are_a_share_of_the_injections():
    rows = [row("a", "inject", 1, False, parts={"injected": 1.0}), row("b", "inject", 1, True, parts={"injected": 0.0}),
            row("a", "typo", 1, True), row("b", "typo", 1, True)]  # fmt: skip
    assert result(rows).extras["injected"] == 0.5


def test_sentences():
    extras = {"clean": 0.5, "flips": 0.25, "all_variants_right": 0.125, "kind=typo": 0.5, "micro_f1": 0.3}
    facts = {
        "unchanged": {"defang": 3},
        "left_out": {"inject": "no text is generated", "case": "none can", "space": "none can"},
    }
    told = [text.replace("\N{NO-BREAK SPACE}", " ") for text in sentences(extras, facts, 1.0)]
    assert told == [
        "published texts 50.0 %, by kind: typo 50.0 %",
        "25.0 % of the variants flip, 12.5 % of the items are right in all variants",
        "not asked, since the text would be the same: defang 3",
        "inject is not asked: no text is generated",
        "case and space are not asked: none can",
    ]
    assert "published texts 1.25" in sentences({**extras, "clean": 1.25}, facts, 10.0)[0]
