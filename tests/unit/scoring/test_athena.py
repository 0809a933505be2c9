"""AthenaBench answers: the authors' reading, last line first, and our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring import athena
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.mitigations import strict_mitigations

VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
NONE = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"


def score(scorer, gold, text, mode=Mode.OFFICIAL, **meta):
    return scorer(Item("i", "?", gold, meta=meta), Output(text=text), mode)


@pytest.mark.parametrize(
    ("text", "official", "strict"),
    [
        ("Because.\n\nAnswer: C", "C", "C"),
        ("**Answer: E**", "E", "E"),
        ("final answer: b\n", "B", "B"),
        ("Answer: D\nThat is all.", "D", "D"),
        ("Answer: D\nIt is a trojan.", "A", "D"),
        ("I cannot say.", None, None),
        ("", None, None),
    ],
)
def test_letters(text, official, strict):
    assert score(athena.score_athena_letter, "C", text).extracted == official
    assert score(athena.score_athena_letter, "C", text, Mode.STRICT).extracted == strict


def read_official(scorer, gold, **output):
    return scorer(Item("i", "?", gold), Output(**output), Mode.OFFICIAL).extracted


def test_the_official_reading_takes_thought_and_answer_as_one_text():
    letter, ids = athena.score_athena_letter, athena.score_athena_mitigations
    assert read_official(letter, "C", text="Answer: C", thought="Perhaps B.") == "C"
    assert read_official(letter, "C", text="", thought="Perhaps B.\nSo C", hit_limit=True) == "C"
    assert read_official(letter, "C", text="I know it.", thought="So D") == "D"
    assert read_official(ids, "M1026", text="", thought="M1026", hit_limit=True) == "M1026"
    assert read_official(ids, "M1026", text="", thought="M1026") is None  # the last line closes the thought
    strict = athena.score_athena_letter(Item("i", "?", "C"), Output(text="", thought="So C"), Mode.STRICT)
    assert strict.extracted is None


@pytest.mark.parametrize("gold", ["T1059", "T1059.001"])
@pytest.mark.parametrize("text", ["Answer: T1059", "Answer: T1059.003", "T1059 it is.\nNo more to say."])
def test_a_technique_counts_with_its_parent(gold, text):
    assert all(score(athena.score_athena_technique, gold, text, mode).correct for mode in Mode)


def test_several_techniques_are_no_answer_in_strict_mode():
    text = "Answer: T1059, T1071"
    assert score(athena.score_athena_technique, "T1059", text).correct
    assert not score(athena.score_athena_technique, "T1059", text, Mode.STRICT).correct


def test_the_first_weakness_of_the_last_line_that_names_one():
    text = "It resembles CWE-20.\nAnswer: CWE-79, a child of CWE-74.\nDone."
    assert [score(athena.score_athena_cwe, "CWE-79", text, mode).extracted for mode in Mode] == ["CWE-79", "CWE-79"]


@pytest.mark.parametrize(
    ("gold", "text", "official", "strict"),
    [
        ("CWE-79", "CWE-79", (1.0, "CWE-79"), (1.0, "CWE-79")),
        ("CWE-79", "cwe-79", (1.0, "CWE-79"), (1.0, "CWE-79")),
        ("CWE-79", "It is CWE 79.", (0.0, None), (1.0, "CWE-79")),
        ("CWE-79", "CWE-79\nNot CWE-20, which is its parent.", (0.0, "CWE-20"), (1.0, "CWE-79")),
        ("CWE-079", "CWE-79", (0.0, "CWE-79"), (1.0, "CWE-79")),
        ("CWE-79", "CWE-20", (0.0, "CWE-20"), (0.0, "CWE-20")),
        ("CWE-79", "", (0.0, None), (0.0, None)),
        ("CWE-79", None, (0.0, None), (0.0, None)),
    ],
)
def test_the_weakness_in_both_modes(gold, text, official, strict):
    for mode, (value, said) in ((Mode.OFFICIAL, official), (Mode.STRICT, strict)):
        found = athena.score_athena_cwe(Item("r", "?", gold), Output(text), mode)
        assert (found.value, found.extracted, found.parsed, found.correct) == (
            value,
            said,
            said is not None,
            value == 1.0,
        )


@pytest.mark.parametrize(
    ("text", "official", "strict"),
    [
        ("Answer: M1038, M1040", {"M1038", "M1040"}, {"M1038", "M1040"}),
        ("- M1038: allow lists\n- M1040: watch it\nThese help.", set(), {"M1038", "M1040"}),
        ("M1038 and M1040\n\nThey stop the file.", set(), {"M1038", "M1040"}),
        ("Recommended mitigation IDs: M1038", {"M1038"}, {"M1038"}),
        ("Answer: M1038 rather than M1021", {"M1038", "M1021"}, {"M1038"}),
        ("No idea", set(), set()),
    ],
)
def test_mitigations(text, official, strict):
    found = score(athena.score_athena_mitigations, "M1038", text).extracted or ""
    assert set(found.split(", ")) - {""} == official
    assert strict_mitigations(text) == strict


def test_f1_of_mitigations():
    assert score(athena.score_athena_mitigations, "M1038, M1040", "Answer: M1038").value == pytest.approx(2 / 3)
    assert score(athena.score_athena_mitigations, "M1038, M1040", "Answer: M1040, M1038").correct


def test_a_vector_by_the_distance_of_its_score():
    right = score(athena.score_athena_vector, VECTOR, f"Answer: {VECTOR}")
    assert (right.value, right.correct) == (1.0, True)
    worse = VECTOR.replace("PR:N", "PR:L")  # 9.8 and 8.8
    assert score(athena.score_athena_vector, VECTOR, worse).value == pytest.approx(1 - 1 / 7.7)


@pytest.mark.parametrize("text", ["", "Answer: CVSS:3.1/AV:N/AC:L", "Answer: high"])
def test_what_is_no_vector_is_unread_and_worth_nothing(text):
    assert [score(athena.score_athena_vector, VECTOR, text, mode).parsed for mode in Mode] == [False, False]
    assert score(athena.score_athena_vector, VECTOR, text, Mode.STRICT).value == 0.0


def test_no_deviation_is_worse_than_no_answer_in_strict_mode():
    found = [score(athena.score_athena_vector, VECTOR, f"Answer: {NONE}", mode).value for mode in Mode]
    assert found == [pytest.approx(1 - 9.8 / 7.7), 0.0]


def test_a_vector_without_prefix_is_read_in_strict_mode_only():
    bare = VECTOR.partition("/")[2]
    assert [score(athena.score_athena_vector, VECTOR, bare, mode).parsed for mode in Mode] == [False, True]


def test_an_actor_by_the_names_of_the_item():
    names = {"correct": ["fancy bear", "apt28"], "plausible": ["apt28", "fancy bear", "sandworm"]}
    meta = {"known": ["apt28", "fancy bear", "sandworm"], "official": names, "strict": names}
    found = score(athena.score_athena_actor, "APT28", "It spies.\nFinal answer: Fancy Bear", **meta)
    assert (found.correct, found.parts) == (True, {"plausible": 1.0})
    sentence = "Thus it is attributed to APT28, I think."
    results = [score(athena.score_athena_actor, "APT28", sentence, mode, **meta).correct for mode in Mode]
    assert results == [False, True]  # the official rule takes the whole last line for a name


SCORERS = [
    athena.score_athena_letter,
    athena.score_athena_technique,
    athena.score_athena_cwe,
    athena.score_athena_mitigations,
    athena.score_athena_vector,
]


@given(st.text(max_size=200), st.sampled_from(SCORERS), st.sampled_from(list(Mode)))
def test_any_text_has_a_score_between_0_and_1(text, scorer, mode):
    found = score(scorer, VECTOR, text, mode)
    assert found.value <= 1.0
    assert mode is Mode.OFFICIAL or found.value >= 0.0
