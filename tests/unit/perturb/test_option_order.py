"""Options in another order, in each form in which benchmarks show them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.option_order import all_options, first_place, moved_letters, rotated, shifted

LINES = "Which port?\n\nA) 443\nB) 80\nC) 22\nD) 25\n\nAnswer with a letter."
INLINE = "Which port?  A) 443  B) 80  C) 22  D) 25  Reply with the letter alone."
COMMAS = "Question: Which port?\nOptions: A) 443, B) 80, C) 22, D) 25\n\nChoose the answer (A, B, C, or D)."
COLONS = "Which port?A: 443 B: 80 C: 22 D: 25"
DICTIONARY = "{'question': 'Which port?', 'choice': {'A': '443', 'B': '80', 'C': '22', 'D': '25'}}\n\nAnswer:"
SHOTS = "What is 1?\nA. one\nB. two\nC. three\nD. four\nAnswer: A\n\nWhich port?\nA. 443\nB. 80\nC. 22\nD. 25\nAnswer:"


def item(prompt, gold="A", **kwargs):
    return Item("item-1", prompt, gold, **kwargs)


@pytest.mark.parametrize("prompt", [LINES, COMMAS, COLONS, DICTIONARY, SHOTS])
def test_each_option_moves_one_place_on_and_gold_with_it(prompt):
    moved = shifted(item(prompt), 1)
    places = [moved.prompt.rindex(text) for text in ("25", "443", "80", "22")]
    assert places == sorted(places)
    assert moved.gold == "B"
    assert len(moved.prompt) == len(prompt)


def test_options_in_one_line_are_found_where_their_texts_are_known():
    moved = shifted(item(INLINE, meta={"options": ["443", "80", "22", "25"]}), 2)
    assert moved.prompt == "Which port?  A) 22  B) 25  C) 443  D) 80  Reply with the letter alone."
    assert moved.meta["options"] == ["22", "25", "443", "80"]
    assert moved.gold == "C"


def test_examples_before_the_question_stay():
    assert shifted(item(SHOTS), 1).prompt.startswith(SHOTS[: SHOTS.index("Which port")])


def test_labels_within_the_texts_stay_where_they_are():
    moved = shifted(item(LINES, meta={"options": ["A) 443", "B) 80", "C) 22", "D) 25"]}), 1)
    assert moved.meta["options"] == ["A) 25", "B) 443", "C) 80", "D) 22"]


@pytest.mark.parametrize(("gold", "after"), [("AC", "BD"), ("A,D", "A,B"), ("B, C", "C, D"), ("D", "A")])
def test_several_right_letters_move_together(gold, after):
    assert shifted(item(LINES, gold), 1).gold == after


@pytest.mark.parametrize("last", ["All of the above", "Both A and B", "A and C", "None of the above", "以上都对"])
def test_options_that_speak_of_others_stay(last):
    assert shifted(item(LINES.replace("25", last)), 1) is None


@pytest.mark.parametrize(
    "one",
    [
        item("What is a port?", "a door"),
        item(LINES, "E"),
        item(LINES, "443"),
        item("Question: Which port?\nAnswer:", choices=(" 443", " 80"), labels=("A", "B"), options=("443", "80")),
        item(LINES.replace("22", "")),
    ],
    ids=["none", "gold beyond", "gold no letter", "not shown", "empty"],
)
def test_where_the_order_cannot_change(one):
    assert shifted(one, 1) is None


def test_a_shift_around_is_none():
    assert shifted(item(LINES), 3) is not None
    assert shifted(item(LINES), 4) is None


def test_options_for_encoders_move_as_well():
    one = item(LINES, choices=("A", "B", "C", "D"), labels=("A", "B", "C", "D"), question="Which port?",
               options=("443", "80", "22", "25"))  # fmt: skip
    moved = shifted(one, 1)
    assert moved.options == ("25", "443", "80", "22")
    assert moved.choices == one.choices


@given(options=st.lists(st.text("abcxyz ", min_size=1, max_size=8).filter(str.strip), min_size=2, max_size=8),
       gold=st.integers(0, 7), shift=st.integers(1, 7))  # fmt: skip
def test_gold_stands_before_the_text_that_was_right(options, gold, shift):
    options = [text.strip() + str(place) for place, text in enumerate(options)]
    gold = gold % len(options)
    lines = "\n".join(f"{letter}) {text}" for letter, text in zip("ABCDEFGH", options, strict=False))
    moved = shifted(item(f"Which?\n{lines}\n", "ABCDEFGH"[gold]), shift)
    if shift >= len(options):
        assert moved is None
        return
    assert f"{moved.gold}) {options[gold]}\n" in moved.prompt
    assert first_place(moved.gold, shift, len(options)) == "ABCDEFGH"[gold]


def test_shifts_of_a_list_run_through_all_its_places():
    orders = [rotated("abcd", shift) for shift in range(4)]
    assert orders == [list("abcd"), list("dabc"), list("cdab"), list("bcda")]
    assert [moved_letters("A", "", shift, 4) for shift in range(4)] == list("ABCD")


def test_spans_of_options_do_not_overlap():
    for prompt in (LINES, COMMAS, COLONS, DICTIONARY):
        [run] = all_options(item(prompt))
        assert all(one.end <= two.start for one, two in pairwise(run.whole))
        assert [prompt[span.start : span.end] for span in run.texts] == ["443", "80", "22", "25"]
