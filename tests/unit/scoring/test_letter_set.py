"""The set of letters of an answer with several right options."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.letter_set import (
    gold_letters,
    official_opseval,
    official_seceval,
    score_letter_set,
    score_opseval,
    score_seceval,
    strict_letters,
)
from pytest_slmsec.scoring.metrics import ACCURACY

sets = st.sets(st.sampled_from("ABCDEF"), min_size=1).map(sorted)


def read(text):
    letters = strict_letters(text)
    return None if letters is None else "".join(sorted(letters))


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A", "A"),
        ("b", "B"),
        ("ACD", "ACD"),
        ("A, C", "AC"),
        ("a, c and d", "ACD"),
        ("(A) and (C)", "AC"),
        ("**B, D**", "BD"),
        ("$\\boxed{AC}$", "AC"),
        ("Options A, C.", "AC"),
        ("Both: A, C", "AC"),
        ("Both A and C.", "AC"),
        ("All of them: A, B, D", "ABD"),
        ("Ａ、Ｃ。", "AC"),
        ("Answer: BD", "BD"),
        ("Answer(s): B, E", "BE"),
        ("Answer: BE", "BE"),
        ("The correct answers are A, B, and D.", "ABD"),
        ("The correct options are: B and C", "BC"),
        ("The correct answer is (C).", "C"),
        ("Both hold. Therefore, the answer is B/D", "BD"),
        ("答案：AC", "AC"),
        ("正确答案是B、D。", "BD"),
        ("正确答案是 B，因为它只绑定本机。", "B"),
        ("因此选ABD", "ABD"),
        ("这道题应选A和C。", "AC"),
        ("正确的选项为：A，C，D", "ACD"),
        ("选项A和C是正确的。", "AC"),
        ("A, C\n\nBoth encrypt the traffic; B sends it in the clear.", "AC"),
        ("Some thoughts.\n\nMore thoughts.\n\nA, D", "AD"),
        ("Options A and D are correct, as only they log.", "AD"),
        ("A. Encrypt it\nC. Rotate the keys", "AC"),
        ("F) Disable the account", "F"),
        ("B) Execution Prevention", "B"),
        ("Option D is the best option.", "D"),
        ("Answer: A\n\nWait, I overlooked one. Answer: A, C", "AC"),
    ],
)
def test_usual_forms_of_an_answer(text, letters):
    assert read(text) == letters


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "X",
        "I do not know.",
        "A firewall drops the packet.",
        "Answer: A firewall rule",
        "Answer: Disable the account",
        "A or B",
        "The answer is A or B.",
        "答案是A或B",
        "选项A错误。",
        "答案不是A",
        "BAD",
        "Answer: BAD",
        "C:\\Windows",
        "D-Link",
        "The answer is C++.",
        "A: one\nB: two\nC: three\nD: four",
        "Option A is plain text. Option C is encrypted.",
        "Option A logs too much. Option B is the best option, and option C as well.",
    ],
)
def test_what_is_no_commitment(text):
    assert read(text) is None


@given(
    sets,
    st.sampled_from([", ", ",", "、", " and ", " & ", " ", "", "; "]),
    st.sampled_from(
        ["{}", "Answer: {}", "The correct answers are {}.", "({})", "**{}**", "答案是{}。", "{}\n\nThis holds."]
    ),
)
def test_any_set_is_read_in_any_usual_form(letters, joint, form):
    assert read(form.format(joint.join(letters))) == "".join(letters)


@given(st.text())
def test_any_text_is_scored_in_both_modes(text):
    item = Item("i", "?", "AC")
    for score in (score_letter_set, score_seceval, score_opseval):
        for mode in Mode:
            found = score(item, Output(text=text), mode)
            assert found.correct == (found.value == 1.0)
            assert found.parsed or not found.correct


@given(sets)
def test_a_part_of_the_right_set_or_more_than_it_is_wrong(letters):
    item = Item("i", "?", "".join(letters))
    right, more, fewer = ({*letters}, {*letters, "G"}, {*letters[1:]})
    said = [score_letter_set(item, Output(text=", ".join(sorted(some))), Mode.STRICT) for some in (right, more, fewer)]
    assert [score.correct for score in said] == [True, False, False]


@pytest.mark.parametrize(
    ("gold", "letters"), [("B", "B"), ("AC", "AC"), ("A,D,E,\n", "ADE"), ("AA", "A"), ("4", "D"), ("", ""), ("9", "")]
)
def test_published_answers(gold, letters):
    assert gold_letters(gold) == frozenset(letters)


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("Answer: A", "A"),
        ("B, then A, B", "AB"),
        ("An Answer: B", "AB"),
        ("Choose C", "C"),
        ("none", ""),
        ("BAD", "ABD"),
    ],
)
def test_seceval_takes_every_capital_letter(text, letters):
    assert official_seceval(text) == letters


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A, C", ["A", "C"]),
        ("A and C", ["A", "C"]),
        ("the answer is B", ["B"]),
        ("B. Because", ["B"]),
        ("AC", ["AC"]),
        ("A C", ["A C"]),
        ("Answer: B", []),
        ("答案是B", ["B"]),
        ("", []),
        ("none", []),
    ],
)
def test_opseval_takes_capital_words_between_commas(text, words):
    assert official_opseval(text) == frozenset(words)


def test_defects_of_published_answers_count_in_official_mode_only():
    def right(score, gold, text):
        return [score(Item("i", "?", gold), Output(text=text), mode).correct for mode in (Mode.OFFICIAL, Mode.STRICT)]

    assert right(score_seceval, "AA", "A") == [False, True]
    assert right(score_seceval, "", "no letter") == [True, False]
    assert right(score_opseval, "A, ", "A") == [False, True]
    assert right(score_opseval, "4", "D") == [False, True]
    assert right(score_opseval, "A,C", "A, C") == [True, True]


def test_items_without_a_published_answer_are_counted_but_in_no_denominator():
    items = [Item("1", "?", "A"), Item("2", "?", "B"), Item("3", "?", "")]
    strict, official = (
        ACCURACY.aggregate([score_seceval(item, Output(text="A"), mode) for item in items], mode)
        for mode in (Mode.STRICT, Mode.OFFICIAL)
    )
    assert (strict.value, strict.n, strict.valid, strict.extras) == (0.5, 2, 3, {"unscored": 1.0})
    assert (official.value, official.n, official.extras) == (1 / 3, 3, {})


def test_accuracy_by_topic_is_over_the_items_of_the_topic():
    items = [Item(str(n), "?", gold, meta={"shares": topics}) for n, (gold, topics) in enumerate(
        [("A", ["web"]), ("B", ["web", "crypto"]), ("A", [])]
    )]  # fmt: skip
    result = ACCURACY.aggregate([score_letter_set(item, Output(text="A"), Mode.STRICT) for item in items], Mode.STRICT)
    assert result.extras == {"accuracy:web": 0.5, "accuracy:crypto": 0.0}


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("A) Audit\nB) Backup\nC) Copy", "ABC"),  # three options of more
        ("A) Audit\nB) Backup\nC) Copy\nD) Delete", ""),  # all four, as the question lists them
        ("A) Audit\nB) Backup\nC) Copy\nE) Erase", "ABCE"),
        ("B) Backup\nC) Copy\nD) Delete\nE) Erase", "BCDE"),
    ],
)
def test_four_options_from_a_on_repeat_the_question(text, letters):
    assert strict_letters(text) == (frozenset(letters) or None)
