"""The letter of a multiple-choice answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.letters import official_letter, score_letter, strict_letter

letters = st.sampled_from("ABCD")
option_texts = st.text("abcdefghijklmnopqrstuvwxyz ", min_size=1, max_size=30).map(lambda text: "Use " + text.strip())


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        ("**C**", "C"),
        ("### Answer\n\nC", "C"),
        ("D.", "D"),
        ("(c)", "C"),
        ("$\\boxed{B}$", "B"),
        ("Answer: B", "B"),
        ("Answer:\n\nB", "B"),
        ("The answer is (c).", "C"),
        ("The correct option is: **D**", "D"),
        ("My answer would be A.", "A"),
        ("answer is A because hosts log it", "A"),
        ("I think it's B", "B"),
        ("B) Execution Prevention", "B"),
        ("c) Login Hook", "C"),
        ("B - Execution Prevention", "B"),
        ("Option D is the best option among the four provided.", "D"),
        ("B is the correct answer", "B"),
        ("A is the correct answer", "A"),
        ("Option A (T1133) corresponds to Brute Force.", "A"),
        ("Option B, the second, is the best mitigation.", "B"),
        ("Some reasons.\n\nMore reasons.\n\nC", "C"),
    ],
)
def test_usual_forms_of_an_answer(text, letter):
    assert strict_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A (Login Daemon) is deprecated in that release. The correct answer is B) Startup Script", "B"),
        ("Correct answer: A\n\nOn second thought the correct answer is C.", "C"),
        ("The answer is not A but it is B", "B"),
    ],
)
def test_a_statement_about_the_answer_beats_a_letter_that_merely_opens_the_text(text, letter):
    assert strict_letter(text) == letter


def test_an_answer_line_with_an_explanation_below_it_is_the_answer():
    assert strict_letter("Option A) Audit\n\nAuditing finds it. Option D is the best option for other cases.") == "A"
    assert strict_letter("B\n\nA) is wrong\nC) is wrong") == "B"


def test_a_list_that_repeats_the_options_is_no_answer_line():
    assert strict_letter("A) Audit\nB) Allow lists\nC) Accounts\nD) Logs\n\nTherefore, B is the best option.") == "B"


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "X",
        "Based on T1078, use multi-factor authentication.",
        "A Trojan horse is a program that hides.",
        "Answer: A trojan horse",
        "Answer: a trojan horse",
        "C:\\Windows\\System32\\cmd.exe",
        "D-Link routers are the best option",
        "The answer is C++",
        "The answer is C#",
        "The answer is A and B",
        "A, B",
        "None of the options A, B, C, D fit.",
        "Option A is incorrect as it does not match the question.",
        "unaut0000000000",
    ],
)
def test_what_is_no_answer(text):
    assert strict_letter(text) is None


@given(st.text())
def test_any_text_gives_a_letter_of_the_options_or_none(text):
    assert strict_letter(text) in {"A", "B", "C", "D", None}


@given(st.lists(st.sampled_from(["A", "b", ")", "(", "answer", "is", ":", "option", "best", "\n", "**", "not", "a"])))
def test_any_mix_of_telling_words_gives_a_letter_of_the_options_or_none(words):
    for text in (" ".join(words), "".join(words)):
        assert strict_letter(text) in {"A", "B", "C", "D", None}


FORMS = ["{0}", "{0})", "({0})", "**{0}**", "{0}) {1}", "Answer: {0}", "The correct answer is {0}) {1}.", "{1}.\n\n{0}",
         "Option {0} is the best option.", "Option {0}: {1}\n\nThis option holds.", "\\boxed{{{0}}}"]  # fmt: skip


@given(letters, option_texts, st.sampled_from(FORMS))
def test_a_rendered_answer_gives_the_letter_back(letter, option, form):
    assert strict_letter(form.format(letter, option)) == letter


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("A) Audit", "A"),
        ("B) Audit", "B"),
        ("C) Audit", "C"),
        ("D) Audit", "D"),
        ("E) Audit", "E) Audit"),
        ("The answer is B", "B"),
        ("Reason.\nC", "C"),
        ("Reason.\nC\n", "C"),
        ("**D**", "D"),
        ("**Answer: c**", "c"),
        ("B.", "B."),
        ("two\nlines", "two lines"),
        ("X", "X"),
        ("MFA", "A"),
        ("", None),
        ("**", None),
    ],
)
def test_the_official_rule_with_its_defects(text, answer):
    assert official_letter(text) == answer


@pytest.mark.parametrize(
    "words", ["answer: ", "option A ", "A) x\n", "is the best ", "answer is ", '(("', "the answer "]
)
def test_endless_repetition_is_read_as_well(words):
    """Small models in few bits loop; a pattern that backtracks would take minutes for this."""
    assert strict_letter(words * (30_000 // len(words))) in {"A", None}


@given(st.text())
def test_the_official_rule_never_raises(text):
    answer = official_letter(text)
    assert answer is None or isinstance(answer, str)


def test_official_scores_a_refusal_as_valid_and_wrong_and_other_text_as_invalid():
    item = Item("q-1", "?", "B")
    refusal = score_letter(item, Output(text="X"), Mode.OFFICIAL)
    prose = score_letter(item, Output(text="B."), Mode.OFFICIAL)
    assert (refusal.parsed, refusal.correct) == (True, False)
    assert (prose.parsed, prose.correct) == (False, False)
    assert score_letter(item, Output(text="b"), Mode.OFFICIAL).correct


def test_strict_scores_a_refusal_and_an_empty_answer_as_unparsed_and_wrong():
    item = Item("q-1", "?", "B")
    for text in ("X", "", None):
        score = score_letter(item, Output(text=text), Mode.STRICT)
        assert (score.value, score.parsed, score.correct, score.extracted) == (0.0, False, False, None)
    assert score_letter(item, Output(text="The answer is B."), Mode.STRICT).correct
