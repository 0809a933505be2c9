"""Recall of key facts: what meets a fact, what does not, and which forms of an answer are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.facts import COMPLETE, FORBIDDEN, OTHER_DEVICE, Facts, meets, read_answer, score_facts

LOG = "Mar 04 07:12:44 web3 kernel: I/O error, dev sda, sector 7"
FACTS = Facts(
    LOG, (("disk", "drive"), ("read", "sector")), (("back up", "backup"), ("cable",), ("smart",)), ("format",)
)
ITEM = Item("i", LOG, FACTS.as_gold())
CAUSE = "Cause - The disk cannot read a sector."
GOOD = f"{CAUSE} Remediation - 1. Back up the data. 2. Check the cable. 3. Look at the SMART values."


def scored(text, mode=Mode.STRICT):
    return score_facts(ITEM, Output(text=text), mode)


@pytest.mark.parametrize("mode", Mode)
def test_the_model_answer_names_all_facts(mode):
    score = scored(GOOD, mode)
    assert (score.value, score.parsed, score.correct) == (1.0, True, True)


def test_steps_in_another_order_and_synonyms_keep_the_score():
    other = "Cause - A drive has bad sectors. Remediation - 1. Read SMART. 2. Change cables. 3. Make a backup."
    assert scored(other).value == 1.0


@pytest.mark.parametrize(
    ("text", "value", "correct"),
    [
        (f"{CAUSE} Remediation - 1. Back up the data. 2. Check the cable.", 0.8, True),
        (f"{CAUSE} Remediation - 1. Back up the data.", 0.6, False),
        ("Cause - The network is down. Remediation - 1. Back up. 2. Check the cable. 3. SMART.", 0.6, False),
        (f"{CAUSE} Remediation - 1. Do not back up. 2. Never touch the cable. 3. SMART.", 0.6, False),
        ("I do not know.", 0.0, False),
        ("", 0.0, False),
    ],
)  # fmt: skip
def test_two_thirds_of_the_steps_and_the_whole_cause_are_correct(text, value, correct):
    score = scored(text)
    assert (score.value, score.correct) == (pytest.approx(value), correct)


def test_a_step_that_names_another_device_meets_nothing():
    same, other = (scored(GOOD.replace("the data", f"/dev/{device}")) for device in ("sda1", "sdb"))
    assert (same.value, same.parts[OTHER_DEVICE]) == (1.0, 0.0)
    assert (other.value, other.parts[OTHER_DEVICE]) == (0.8, 1.0)


def test_what_is_forbidden_makes_an_answer_wrong_unless_it_is_advised_against():
    advised, warned = scored(f"{GOOD} 4. Format the disk."), scored(f"{GOOD} 4. Do not format the disk.")
    assert (advised.value, advised.correct, advised.parts[FORBIDDEN]) == (1.0, False, 1.0)
    assert (warned.correct, warned.parts[FORBIDDEN], warned.parts[COMPLETE]) == (True, 0.0, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "Cause: The disk. Remediation: 1) Back up.",
        "**Cause**: The disk.\n\n**Remediation**:\n1. Back up.",
        "## Root cause\nThe disk.\n## Remedies\n- Back up.\n- Wait.",
        "Threat - The disk. Solution: (1) Back up. (2) Wait.",
        "Cause and threat: The disk.\nRecommended steps:\nStep 1: Back up.",
    ],
)
def test_the_strict_reading_tolerates_other_forms_and_the_official_one_does_not(text):
    found = read_answer(text, Mode.STRICT)
    assert found is not None
    assert (found.cause.rstrip("."), found.steps[0]) == ("The disk", "Back up.")
    assert read_answer(text, Mode.OFFICIAL) is None


@pytest.mark.parametrize(
    ("text", "phrase", "met"),
    [
        ("Replacing the failed disks", "replace disk", True),
        ("Check the batteries", "battery", True),
        ("the login failed", "log", False),
        ("two logs", "log", True),
        ("Run a self-test", "test", True),
    ],
)
def test_a_word_is_met_by_its_forms_and_short_words_by_themselves(text, phrase, met):
    assert meets(text, [phrase]) is met


@given(st.text(max_size=300), st.sampled_from(list(Mode)))
def test_any_text_has_a_score_between_0_and_1(text, mode):
    for whole in (text, f"Cause - {text} Remediation - 1. {text}"):
        assert 0 <= scored(whole, mode).value <= 1


@given(st.permutations(["Back up the data.", "Check the cable.", "Look at the SMART values."]))
def test_no_order_of_the_steps_changes_the_score(steps):
    listed = " ".join(f"{number}. {step}" for number, step in enumerate(steps, 1))
    assert scored(f"{CAUSE} Remediation - {listed}").value == 1.0
