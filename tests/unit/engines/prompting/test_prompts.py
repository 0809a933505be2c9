"""Prompts: the template once, one begin-of-text token, and where a choice begins."""

import pytest
import tinymodel
from transformers import AutoTokenizer

from pytest_slmsec.core.items import Choose, Generate, Message
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.prompting.prompts import Prompts

SYSTEM, USER = Message("system", "You are terse."), Message("user", "What is T1003?")
DROPS_SYSTEM = tinymodel.CHATML.replace("{% for m in messages %}", "{% for m in messages if m.role != 'system' %}")


@pytest.fixture
def prompts(tmp_path):
    def make(template=tinymodel.CHATML, adds_bos=True):
        tinymodel.build_tokenizer(tmp_path, template=template, adds_bos=adds_bos)
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
        return Prompts(load_tokenizer(tmp_path))

    return make


def ids(prompts, *messages):
    return list(prompts.encode([Generate("q", messages, 1)])[0].prompt)


def test_the_template_is_applied_once_with_one_begin_of_text(prompts):
    made = prompts()
    text = "<s><|system|>\nYou are terse.<|end|>\n<|user|>\nWhat is T1003?<|end|>\n<|assistant|>\n"
    assert made.render((SYSTEM, USER)) == text
    assert ids(made, SYSTEM, USER) == made.tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids(made, SYSTEM, USER).count(0) == 1


def test_a_template_that_writes_begin_of_text_twice_is_mended(prompts):
    assert ids(prompts(template="{{ bos_token }}" + tinymodel.CHATML), USER).count(0) == 1


@pytest.mark.parametrize("template", [tinymodel.NO_SYSTEM, DROPS_SYSTEM], ids=["refuses", "drops"])
def test_a_system_turn_that_the_template_does_not_take_goes_before_the_user_turn(prompts, template):
    text = prompts(template=template).render((SYSTEM, USER))
    assert "<|user|>\nYou are terse.\n\nWhat is T1003?<|end|>" in text
    assert "<|system|>" not in text


def test_without_a_template_the_turns_are_plain_text(prompts):
    made = prompts(template=None)
    assert made.render((SYSTEM, USER)) == "You are terse.\n\nWhat is T1003?"
    assert ids(made, SYSTEM, USER)[0] == 0
    assert ids(made, SYSTEM, USER).count(0) == 1


def test_plain_text_that_already_begins_a_text_is_not_begun_twice(prompts):
    assert ids(prompts(template=None), Message("user", "<s>What?")).count(0) == 1


def test_a_template_error_is_the_error_of_its_item(prompts):
    made = prompts(
        template="{% if 'bad' in messages[0].content %}{{ raise_exception('no') }}{% endif %}{{ messages[0].content }}"
    )
    wrong, right = made.encode(
        [Generate("q1", (Message("user", "bad"),), 1), Generate("q2", (Message("user", "good"),), 1)]
    )
    assert "q1: the chat template refused the conversation" in wrong.error
    assert right.error is None


def test_choices_continue_the_prompt(prompts):
    made = prompts()
    (encoded,) = made.encode([Choose("q", (USER,), ("A", "B", "CWE-79"))])
    decode = made.tokenizer.decode
    assert decode(list(encoded.prompt)) == made.render((USER,))
    assert [decode(list(choice)) for choice in encoded.choices] == ["A", "B", "CWE-79"]
    assert encoded.prompt_tokens == len(encoded.prompt)


def test_a_token_across_the_boundary_is_scored_with_the_choice(prompts):
    """The prompt ends in `Answer:`, its blank comes with the choice; or the prompt ends in the blank itself."""
    made = prompts(template=None)
    (encoded,) = made.encode([Choose("q", (Message("user", "Answer: "),), ("A", "B"))])
    decode = made.tokenizer.decode
    assert [decode(list(encoded.prompt + choice)) for choice in encoded.choices] == ["<s>Answer: A", "<s>Answer: B"]
    assert len(encoded.prompt) < encoded.prompt_tokens
    assert len({len(choice) for choice in encoded.choices}) == 1


def test_a_prompt_is_the_same_tomorrow(prompts):
    dated = "{{ date_string if date_string is defined else strftime_now('%d %b %Y') }}" + tinymodel.CHATML
    assert prompts(template=dated).render((USER,)).startswith("26 Jul 2024")


def test_the_helper_is_a_tokenizer_that_transformers_reads(tmp_path):
    tinymodel.build_tokenizer(tmp_path)
    assert AutoTokenizer.from_pretrained(tmp_path).decode([3]) == "<|user|>"
