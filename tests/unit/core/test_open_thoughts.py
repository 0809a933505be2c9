"""Whether a prompt or an unfinished text is inside a thought: one example of each form."""

import pytest

from pytest_slmsec.core.open_thoughts import Start, closes_thought, closes_unopened, ends_in_thought, open_tag, start_of
from pytest_slmsec.core.thought_tags import APRIEL, HARMONY, THINK, Tag


@pytest.mark.parametrize(
    ("tail", "tag"),
    [
        ("<|assistant|>\n<think>\n", THINK),
        ("<|assistant|>\n<think>\n\n</think>\n\n", None),
        ("<|assistant|>", None),
        (f"<|start|>assistant{HARMONY.open}", HARMONY),
        ("[THINK]", Tag("[THINK]", "[/THINK]")),
        ("<think>\nOkay, ", THINK),
        ("<|assistant|>\nHere are my reasoning steps:\n", APRIEL),
    ],
)
def test_the_thought_that_a_prompt_leaves_open(tail, tag):
    assert open_tag(tail) == tag
    assert ends_in_thought(tail) is (tag is not None and tail.rstrip().endswith((">", "]", ":")))


def test_the_first_words_of_a_text_while_it_is_generated():
    grown = ["", "\n", "<", "<th", "<think", "<think>", "<think>\nA"]
    assert [start_of(text) for text in grown] == [Start.UNKNOWN] * 5 + [Start.THOUGHT] * 2
    assert start_of("B") is start_of("<b>") is start_of("<|channel|>final") is Start.ANSWER
    assert start_of("<|channel|>analysis") is Start.THOUGHT


def test_the_last_words_of_a_thought_while_it_is_generated():
    assert closes_thought("so B.\n</think>")
    assert closes_thought("assistant<|channel|>final<|message|>")
    assert not closes_thought("the tag `</think>")
    assert not closes_thought("so B.")
    assert not closes_thought("<think>")


def test_whether_a_text_closes_what_it_did_not_open():
    assert closes_unopened("A?</think>B")
    assert not closes_unopened("<think>A?</think>B")
    assert not closes_unopened("B")
