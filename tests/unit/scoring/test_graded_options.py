"""Options that are graded one by one."""

import pytest

from pytest_slmsec.scoring.graded_options import graded_options
from pytest_slmsec.scoring.stated_letters import stated_letter, stated_letters


@pytest.mark.parametrize(
    "text",
    [
        "A) wrong\nB) correct\nC) wrong\nD) wrong",
        "- A: incorrect\n- B: correct\n- C: incorrect\n- D: incorrect",
        "A. \u274c\nB. \u2705\nC. \u274c\nD. \u274c",
        "[ ] A\n[x] B\n[ ] C\n[ ] D",
        "\u2610 A\n\u2611 B\n\u2610 C\n\u2610 D",
        "| Option | Correct |\n|---|---|\n| A | No |\n| B | Yes |\n| C | No |\n| D | No |",
        "Let me see.\n\nA) Recon: no\nB) Lateral movement: yes\nC) Exfiltration: no",
    ],
)
def test_the_option_that_is_graded_as_right_is_the_answer(text):
    assert stated_letter(text) == "B"
    assert stated_letters(text) == frozenset("B")


def test_several_options_can_be_graded_as_right():
    text = "A) yes\nB) no\nC) yes\nD) no"
    assert stated_letters(text) == frozenset("AC")
    assert stated_letter(text) is None


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["A) True", "B) False"],
        ["A) True", "B) False", "C) Both", "D) Neither"],
        ["A) wrong", "B) wrong", "C) wrong"],
        ["A) wrong", "B) right", "B) wrong"],
        ["A) wrong", "B) right", "C) wrong", "The answer is C"],
    ],
)
def test_what_is_no_list_of_grades(lines):
    assert graded_options(lines) is None
