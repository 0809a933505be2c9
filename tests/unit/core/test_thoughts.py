"""What is thought and what is answer: one example of each form, and what holds for all texts."""

import pytest
from growth import grows_faster_than_text
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.items import Output
from pytest_slmsec.core.open_thoughts import open_tag
from pytest_slmsec.core.thought_tags import HARMONY, KNOWN_TAGS, Tag, named_tags
from pytest_slmsec.core.thoughts import separate, without_thoughts

FINISHED = [
    ("<think>\nAt first A.\n</think>\n\nB", "At first A.", "B"),
    ("  <think>At first A.</think>B) the registry", "At first A.", "B) the registry"),
    ("<think>\n\n</think>\n\nB", "", "B"),
    ("<Think >At first A.</ THINK>B", "At first A.", "B"),
    ("[THINK]At first A.[/THINK]B", "At first A.", "B"),
    ("<seed:think>At first A.</seed:think>B", "At first A.", "B"),
    ("\u25c1think\u25b7At first A.\u25c1/think\u25b7B", "At first A.", "B"),
    ("<|thinking|>At first A.<|/thinking|>B", "At first A.", "B"),
    ("<thinking>At first A.</think>B", "At first A.", "B"),
    ("At first A.\n</think>\n\nB", "At first A.", "B"),
    ("At first A.\n</think>", "At first A.", ""),
    ("<think>a</think>B</think>\n", "a", "B"),
    ("<think>a</think>\n<think>b</think>\nB", "a\n\nb", "B"),
    ("It is <think>a?</think> B.", "a?", "It is B."),
    ("<think>a<think>b</think>c</think>B", "a<think>b\n\nc", "B"),
    ("<think>I may write `</think>` later.</think>B", "I may write `</think>` later.", "B"),
    ("<think>a</think><response>B</response>", "a", "B"),
    ("<think>a</think>\n<answer>\nB\n</answer>", "a", "B"),
    ("Here is my thought process: A? Here is my response: B", "A?", "B"),
    (f"{HARMONY.open}At first A.<|end|><|start|>assistant{HARMONY.close}B<|return|>", "At first A.", "B"),
    ("<|channel|>commentary to=x<|message|>a<|call|><|start|>assistant<|channel|>final<|message|>B", "a", "B"),
    ("analysisAt first A.assistantfinalB", "At first A.", "B"),
    ('<think type="deep">At first A.</think>B', "At first A.", "B"),
    ('<thinking mode="x" id=1 >At first A.</thinking>B', "At first A.", "B"),
    ("<unused94>thought\nAt first A.<unused95>B", "At first A.", "B"),
    ("<longcat_think>At first A.</longcat_think>B", "At first A.", "B"),
    ("<antThinking>At first A.</antThinking>\nB", "At first A.", "B"),
    ("**Here is my thought process:**\nA?\n\n**Here is my response:**\nB", "A?", "B"),
    (f"At first A.<|end|><|start|>assistant{HARMONY.close}B", "", "B"),
    ("<|channel|>final <|constrain|>json<|message|>B", "", "B"),
    ("analysisA?assistantcommentaryA!assistantfinalB", "A?assistantcommentaryA!", "B"),
    ("<|START_THINKING|>A?<|END_THINKING|><|START_RESPONSE|>B<|END_RESPONSE|>", "A?", "B"),
    ("<ds_think>A?</ds_think>B", "A?", "B"),
    ("<|thought_start|>A?<|thought_end|>\nB", "A?", "B"),
    ("Thinking...\nA?\n...done thinking.\n\nB", "A?", "B"),
    ("A?\n[BEGIN FINAL RESPONSE]\nB\n[END FINAL RESPONSE]<|end|>", "A?", "B"),
    ("Here are my reasoning steps:\nA?\n[BEGIN FINAL RESPONSE]B", "A?", "B"),
    ("<analysis>A?</analysis>\n\nB", "A?", "B"),
    ("\n<CoT>A?</cot>B", "A?", "B"),
    ("<plan>A?</plan><answer>B</answer>", "A?", "B"),
]


@pytest.mark.parametrize(("text", "thought", "answer"), FINISHED)
def test_an_answer_behind_a_thought(text, thought, answer):
    found = separate(text)
    assert (found.thought, found.answer, found.finished, found.found) == (thought, answer, True, True)


@pytest.mark.parametrize(
    "text",
    [
        "<think>\nHmm, so the correct answer is A. Wait, but",
        "[THINK]The answer is A",
        '<thinking mode="x">The answer is A',
        "<unused94>thought\nThe answer is A",
        "B <think>or is it A?",
        "<think>a</think><think>The answer is A",
        "<think>The tag is '</think>'",
        "analysisWe need to choose. The answer is A",
        f"{HARMONY.open}The answer is A",
        "<|channel|>analysis",
        "Here's my thought process: the answer is A",
        "Thinking...\nthe answer is A",
        "Here are my reasoning steps:\nThe answer is A",
        "<rationale>The answer is A",
    ],
)
def test_a_thought_without_an_end_is_no_answer(text):
    found = separate(text)
    assert (found.answer, found.finished) == ("", False)
    assert without_thoughts(Output(text)).hit_limit


@pytest.mark.parametrize(
    "text",
    [
        "B",
        "  B\n",
        "Put `<think>` in front. The answer is B.",
        "The model writes '<think>' and \"</think>\".",
        "Use `x = '<think>a</think>'` here. B",
        "Like this:\n```\n<think>\na\n</think>\n```\nB",
        "analysis of the log: B",
        "finally, B",
        "x < think and y > 3",
        "<thinker>B</thinker>",
        "<analysis>The log shows B.</analysis>\n",
        "The plan: <plan>B</plan> it is.",
    ],
)
def test_a_text_without_a_thought_stays_as_it_is(text):
    assert separate(text) == ("", text, True, False, 0)
    assert without_thoughts(Output(text, new_tokens=9)) == Output(text, new_tokens=9)


def test_what_the_prompt_opened_the_text_must_close():
    assert separate("The answer is A", opened=True) == ("The answer is A", "", False, True, 15)
    assert separate("At first A.</think>B", opened=True).answer == "B"
    assert separate("<think>At first A.</think>B", opened=True).thought == "At first A."
    assert separate("At first A.\n[BEGIN FINAL RESPONSE]B", opened=True).answer == "B"


def test_tags_that_a_tokenizer_or_a_template_names():
    tokens = ["<my_thought>", "</my_thought>", "<|reason_start|>", "<|reason_end|>", "<|im_start|>", "<think_alone>"]
    assert named_tags(tokens, "") == (("<my_thought>", "</my_thought>"), ("<|reason_start|>", "<|reason_end|>"))
    template = (
        "{% if '</cot_thinking>' in m.content %}{{ m.content.split('</cot_thinking>') }}{% endif %}<cot_thinking>"
    )
    (own,) = named_tags([], template)
    assert separate("A?</cot_thinking>B").found is False
    assert separate("<cot_thinking>A?</cot_thinking>B", [own]).answer == "B"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        # A closing tag belongs to the quoted tag before it, each to one, ...
        ("Write `a <think> b` and c </think>. B", "Write `a <think> b` and c </think>. B"),
        ("`a <think> b` `c <think> d` e </think> f </think> B", "`a <think> b` `c <think> d` e </think> f </think> B"),
        # ... and the next one closes a thought that the prompt opened.
        ("Write `a <think> b` and c </think>, so A? </think> B", "B"),
        ("`a <think> b` `c <think> d` e </think> f </think> A? </think> B", "B"),
    ],
)
def test_a_closing_tag_belongs_to_the_quoted_tag_before_it(text, answer):
    assert separate(text).answer == answer


def test_a_thought_in_a_field_of_its_own_is_kept_in_front():
    found = without_thoughts(Output("<think>b</think>B", thought="a"), tokens_before=lambda at: at)
    assert (found.text, found.thought, found.thought_tokens, found.hit_limit) == ("B", "a\n\nb", 16, False)


TAGS = st.sampled_from([*KNOWN_TAGS, Tag("<x_think>", "</x_think>")])
WORDS = st.text("ABCD xyz.\n'0", max_size=40)


@given(TAGS, WORDS, WORDS, st.sampled_from(["", "\n", "\n\n", "  "]), st.booleans())
def test_whatever_the_tag_what_stands_behind_it_is_the_answer(tag, thought, answer, blanks, opened):
    text = f"{'' if opened else tag.open}{blanks}x{thought}{blanks}x{tag.close}{blanks}{answer}"
    found = separate(text, [tag], opened)
    assert (found.answer, found.finished) == (answer.strip(), True)


@given(TAGS, st.text(max_size=60), WORDS)
def test_no_word_of_a_thought_is_in_an_answer(tag, thought, words):
    text = f"{tag.open} {thought}SECRET {tag.close} {words}"
    assert "SECRET" not in separate(text, [tag]).answer
    assert "SECRET" not in separate(f"SECRET {tag.close} {words}", [tag]).answer


PIECES = st.sampled_from(["<think>", "</think>", "[THINK]", "`", '"', "\n```\n", "\n", " ", "A", "analysis",
                          "assistantfinal", "<|channel|>final<|message|>", "<", ">", "<response>"])  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join), st.booleans())
def test_every_text_is_separated_and_an_unfinished_one_has_no_answer(text, opened):
    found = separate(text, opened=opened)
    assert found.finished or found.answer == ""
    assert found.found or found.answer == text
    assert 0 <= found.answer_at <= len(text)


@pytest.mark.parametrize(
    "piece",
    ["<think>", "</think>", "<", "< ", "`<think>", "\n```\n<think>", '"<think>"', "<|channel|>analysis", "analysis",
     "[/THINK]x", "Here is my thought process:", "<think>x</think>", "<|", "\n", "<response>"],
)  # fmt: skip
def test_the_time_of_separating_a_megabyte_is_proportional_to_the_text(piece):
    def separated(text):
        separate(text)
        separate(text, opened=True)
        open_tag(text)

    assert not grows_faster_than_text(separated, piece, 10**6, at_once_s=0.5)
