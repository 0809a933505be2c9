"""The options on thinking: what is written, and what becomes of it."""

import pytest

from pytest_slmsec.config.thinking import template_variable, thinking_settings
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.engines.common.settings import ThinkingSettings


def test_without_a_word_models_think_as_they_do_by_themselves():
    assert thinking_settings(None, None, None) == ThinkingSettings("auto", (), 4096)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("enable_thinking=false", False),
        ("enable_thinking=True", True),
        ("effort=None", None),
        ("budget=0.5", 0.5),
        ("n=128", 128),
        ("reasoning_effort=low", "low"),
        ("note=a=b", "a=b"),
        ("empty=", ""),
        ("list=[1]", "[1]"),
    ],
)
def test_values_are_json_where_they_are_such_and_else_text(text, value):
    assert template_variable(text) == (text.partition("=")[0], value)


def test_a_configuration_file_may_write_a_table_or_a_list():
    table = thinking_settings("off", {"reasoning_effort": "low", "enable_thinking": False}, 9)
    listed = thinking_settings("off", ["enable_thinking=false", "reasoning_effort=low"], 9)
    assert table == listed
    assert table.template == (("enable_thinking", False), ("reasoning_effort", "low"))


@pytest.mark.parametrize(
    ("asked", "template", "says"),
    [
        ("maybe", None, "--slmsec-thinking=maybe: must be one of auto, on, off"),
        (None, ["enable_thinking"], "--slmsec-template=enable_thinking: write KEY=VALUE"),
        (None, ["messages=x"], "--slmsec-template=messages: no variable of a chat template"),
        (None, ["a-b=x"], "--slmsec-template=a-b: no variable of a chat template"),
        (None, {"tags": []}, "--slmsec-template=tags: its value must be a text"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(asked, template, says):
    with pytest.raises(UsageError, match=says):
        thinking_settings(asked, template, None)
