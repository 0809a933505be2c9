"""What a chat template accepts is found out once, and prompts hold the question whatever it wants."""

import json
from datetime import datetime

import pytest
import tinymodel
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.common.loading import load_tokenizer
from pytest_slmsec.engines.prompting.chat_template import ChatTemplate, join_system

SYSTEM, USER = Message("system", "You are terse."), Message("user", "What is T1003?")
PARTS = (
    "{% for m in messages %}<|{{ m.role }}|>\n{% for part in m.content %}{% if part.type == 'text' %}{{ part.text }}"
    "{% endif %}{% endfor %}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
FIRST_PART = PARTS.replace("\n{% for part", "{{ ': ' if m['content'][0]['type'] == 'text' }}{% for part")
EITHER = PARTS.replace("{% for part", "{% if m.content is string %}{{ m.content }}{% else %}{% for part").replace(
    "{% endfor %}<|end|>", "{% endfor %}{% endif %}<|end|>"
)
LENGTH_FIRST = "{{ messages[0].content[0].text | length }}" + PARTS
NAMED = {"rag": tinymodel.CHATML, "tool_use": tinymodel.CHATML}


@pytest.fixture
def tokenizer(tmp_path):
    def make(template):
        tinymodel.build_tokenizer(tmp_path, template=None)
        (tmp_path / "config.json").write_text('{"model_type": "llama"}')
        loaded = load_tokenizer(tmp_path)
        loaded.chat_template = template
        return loaded

    return make


@pytest.mark.parametrize(
    ("template", "parts"),
    [(tinymodel.CHATML, False), (PARTS, True), (FIRST_PART, True), (LENGTH_FIRST, True), (EITHER, False)],
    ids=["text", "parts", "first part", "refuses text", "either"],
)
def test_the_content_is_given_in_the_form_that_the_template_writes(tokenizer, template, parts):
    made = ChatTemplate(tokenizer(template))
    assert made.takes_parts is parts
    assert made.takes_system
    text = made.render((SYSTEM, USER))
    assert text.count("What is T1003?") == text.count("You are terse.") == 1
    assert made.facts()["content"] == ("parts" if parts else "text")


def test_a_template_that_never_writes_the_question_is_refused_at_load(tokenizer):
    with pytest.raises(ModelError, match=r"leaves the question out \(a user turn is rendered as 'Hello'\): fetch"):
        ChatTemplate(tokenizer("Hello"))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('Only tools may ask') }}", "Only tools may ask"),
        (tinymodel.CHATML + "{{ messages[5].content.text }}", "no element 5"),
        ("{{ ''.__class__.__mro__ }}" + tinymodel.CHATML, "unsafe"),
        ("{% if messages[0].role != 'system' %}{{ raise_exception('No system') }}{% endif %}", "No system"),
    ],
)
def test_a_template_that_refuses_every_question_is_one_sentence_at_load(tokenizer, template, why):
    with pytest.raises(
        ModelError, match=rf"^[^\n]*refuses a conversation of one question \([^\n]*{why}[^\n]*\): fetch"
    ):
        ChatTemplate(tokenizer(template))


@pytest.mark.parametrize("cut", ["[:10]", " | truncate(8)", "[1:]", " | upper"])
def test_a_template_that_changes_the_question_is_refused_and_never_given_parts_to_print(tokenizer, cut):
    with pytest.raises(ModelError, match="its chat template leaves the question out"):
        ChatTemplate(tokenizer(f"{{% for m in messages %}}{{{{ m.content{cut} }}}}{{% endfor %}}"))


def test_a_damaged_template_is_refused_at_load(tokenizer):
    with pytest.raises(ModelError, match=r"its chat template is damaged \(line 1: "):
        ChatTemplate(tokenizer("{% for m in messages %}"))


def test_a_template_that_asks_for_the_date_gets_one_that_does_not_change(tokenizer):
    loaded = tokenizer("Today is {{ strftime_now('%d %B %Y') }}." + tinymodel.CHATML)
    made = ChatTemplate(loaded)
    assert made.render((USER,)).startswith("Today is 26 July 2024.")
    assert made.facts()["date"] == "2024-07-26"
    today = loaded.apply_chat_template([USER._asdict()], tokenize=False)
    assert today.startswith(f"Today is {datetime.now():%d %B %Y}.")  # other users of the library keep the clock


def test_a_template_without_a_date_has_none_in_the_record(tokenizer):
    assert ChatTemplate(tokenizer(tinymodel.CHATML)).facts() == {
        "found": True, "content": "text", "system_turns": True, "date": None,
        "chat_tokens": ["<|user|>", "<|assistant|>"],
    }  # fmt: skip


def test_of_several_templates_the_default_is_used(tokenizer):
    made = ChatTemplate(tokenizer({**NAMED, "default": "default: " + tinymodel.CHATML}))
    assert made.render((USER,)).startswith("default: ")


def test_of_several_templates_without_a_default_one_has_to_be_chosen(tokenizer, tmp_path):
    with pytest.raises(
        ModelError, match=r"several chat templates \(rag, tool_use\) and none is the default: put"
    ) as error:
        ChatTemplate(tokenizer(NAMED))
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)


def test_the_remedy_for_several_templates_works(tokenizer, tmp_path):
    tokenizer(NAMED).save_pretrained(tmp_path)
    (tmp_path / "chat_template.jinja").write_text("chosen: " + tinymodel.CHATML)
    assert ChatTemplate(load_tokenizer(tmp_path)).render((USER,)).startswith("chosen: ")


AS_LIST = [{"name": "rag", "template": "no"}, {"name": "default", "template": tinymodel.CHATML}]


@pytest.mark.parametrize("name", ["chat_template.json", "processor_config.json"])
@pytest.mark.parametrize(
    "stored", [tinymodel.CHATML, {"default": tinymodel.CHATML}, AS_LIST], ids=["text", "named", "list"]
)
def test_the_template_of_a_processor_is_read_in_every_form(tokenizer, tmp_path, name, stored):
    tokenizer(None)
    (tmp_path / name).write_text(json.dumps({"chat_template": stored}), "utf-8-sig")  # some editors write a mark
    assert "<|user|>\nWhat is T1003?<|end|>" in ChatTemplate(load_tokenizer(tmp_path)).render((USER,))


def test_a_processor_without_a_template_changes_nothing(tokenizer, tmp_path):
    tokenizer(None)
    (tmp_path / "chat_template.json").write_text('{"chat_template": null}')
    (tmp_path / "processor_config.json").write_text('{"processor_class": "LlavaProcessor"}')
    assert not ChatTemplate(load_tokenizer(tmp_path)).exists


@pytest.mark.parametrize("stored", ["[]", '{"chat_template": 7}', '{"chat_template": ["a"]}'])
def test_a_damaged_file_of_a_processor_is_named(tokenizer, tmp_path, stored):
    tokenizer(None)
    (tmp_path / "chat_template.json").write_text(stored)
    with pytest.raises(ModelError, match=r"chat_template\.json"):
        load_tokenizer(tmp_path)


def test_templates_in_a_folder_beside_the_default_are_no_choice_to_make(tokenizer, tmp_path):
    tokenizer(None)
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "rag.jinja").write_text("no")
    with pytest.raises(ModelError, match=r"several chat templates \(rag\)"):
        ChatTemplate(load_tokenizer(tmp_path))
    (tmp_path / "chat_template.jinja").write_text(tinymodel.CHATML)
    assert "What is T1003?" in ChatTemplate(load_tokenizer(tmp_path)).render((USER,))


TURNS = st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), st.text(max_size=5)), max_size=6)


@given(TURNS.map(lambda turns: [Message(*turn) for turn in turns]))
def test_joining_the_system_text_keeps_the_other_turns_in_order(messages):
    joined = join_system(messages)
    others = [turn for turn in messages if turn.role != "system"]
    assert [turn.role for turn in joined] == [turn.role for turn in others]
    assert [turn.content for turn in joined[1:]] == [turn.content for turn in others[1:]]
    if joined:
        system = [turn.content for turn in messages if turn.role == "system"]
        assert joined[0].content == "\n\n".join([*system, others[0].content])
