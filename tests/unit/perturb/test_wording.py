"""Instructions in other words."""

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.variants import variant
from pytest_slmsec.perturb.wording import FRAMES, HEADERS, INSTRUCTION, PHRASES

CHAT = Item("i", "What moved the files?\nReply with the letter alone.", "A")


def reworded(item, n=1):
    return variant(item, Seed(item.id, "template", n))


def test_a_user_turn_gets_a_frame_and_other_phrases():
    found = {reworded(CHAT, n).prompt for n in range(1, len(FRAMES) + 1)}
    assert len(found) == len(FRAMES)
    for prompt in found:
        assert "What moved the files?\n" in prompt
        assert "Reply with" not in prompt
        assert "the letter alone." in prompt
    assert reworded(CHAT, len(FRAMES) + 1) is None


def test_the_header_of_an_instruction_changes_and_nothing_else():
    item = Item("i", f"{INSTRUCTION}\n\n### Instruction:\nSum up.\n\n### Input:\nText.\n\n### Response:", "x", raw=True)
    found = {reworded(item, n).prompt for n in (1, 2, 3)}
    assert found == {item.prompt.replace(INSTRUCTION, other) for other in HEADERS[0][1]}


def test_names_before_questions_and_answers_change_together_where_options_are_compared():
    shots = "Question: old?\nAnswer: no\n\nQuestion: new?\nAnswer:"
    item = Item("i", shots, "A", raw=True, choices=(" yes", " no"), labels=("A", "B"))
    assert {reworded(item, n).prompt for n in (1, 2, 3)} == {
        shots.replace("Question", question).replace("Answer", answer)
        for question, answer in (("Q", "A"), ("Problem", "Solution"), ("Query", "Response"))
    }
    assert reworded(item, 4) is None


def test_generated_text_keeps_the_names_that_end_it():
    assert reworded(Item("i", "Question: new?\nAnswer:", "4", raw=True)) is None


def test_each_phrase_has_others_that_it_does_not_match_itself():
    for pattern, others in PHRASES:
        assert not any(pattern.fullmatch(other) for other in others)
