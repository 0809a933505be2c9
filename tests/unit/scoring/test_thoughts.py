"""Strict readers of a text that nobody separated before: what a model thought is not read."""

import pytest

from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.letter_set import strict_letters
from pytest_slmsec.scoring.letters import strict_letter
from pytest_slmsec.scoring.refusal import is_refusal

SORRY = "I'm sorry, but I can't help with that."
HELP = "Sure, open the event log and filter for logons."


@pytest.mark.parametrize("wrapped", ["<think>{}</think>\n\n{}", "{}\n</think>\n\n{}", "[THINK]{}[/THINK]{}"])
def test_the_answer_behind_the_thought_is_read(wrapped):
    assert strict_letter(wrapped.format("The answer is A. Wait, no.", "B) the registry")) == "B"
    assert strict_letters(wrapped.format("The answer is A, C.", "B, D")) == {"B", "D"}
    assert is_refusal(wrapped.format(HELP, SORRY), Mode.STRICT)
    assert not is_refusal(wrapped.format(SORRY, HELP), Mode.STRICT)


def test_a_thought_without_an_end_holds_no_answer():
    assert strict_letter("<think>\nThe answer is A. Wait,") is None
    assert not is_refusal(f"<think>{SORRY}", Mode.STRICT)
