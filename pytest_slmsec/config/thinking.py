"""The options on thinking: ``--slmsec-thinking``, ``--slmsec-template`` and ``--slmsec-thought-tokens``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pytest_slmsec.config.options import TEMPLATE, THINKING_MODES
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.engines.common.settings import ThinkingSettings

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
NO_VARIABLES = (
    "messages", "conversation", "chat_template", "tools", "documents", "tokenize", "add_generation_prompt",
    "continue_final_message", "bos_token", "eos_token", "padding", "truncation", "max_length", "return_tensors",
    "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs",
)  # fmt: skip
"""What templates are given beside their own variables, and what transformers takes for itself."""
PYTHON_WORDS = {"True": True, "False": False, "None": None}


def thinking_settings(asked: Any, template: Any, thought_tokens: int | None) -> ThinkingSettings:
    """Whether reasoning models think, from the values of the three options (None where nothing was said).

    Args:
        template: a list of ``KEY=VALUE``, or a table of a configuration file.

    Raises:
        UsageError: one of the first two cannot be used.
    """
    if asked not in (None, *THINKING_MODES):
        raise UsageError(f"--slmsec-thinking={asked}: must be one of {', '.join(THINKING_MODES)}.")
    given = [template] if isinstance(template, str) else template or ()
    variables = dict(given.items() if isinstance(given, Mapping) else map(template_variable, given))
    for name, value in variables.items():
        if not NAME.fullmatch(str(name)) or name in NO_VARIABLES:
            raise UsageError(
                f"{TEMPLATE.flag}={name}: no variable of a chat template that can be set; name one such as "
                "enable_thinking or reasoning_effort."
            )
        if not isinstance(value, (bool, int, float, str, type(None))):
            raise UsageError(f"{TEMPLATE.flag}={name}: its value must be a text, a number, true or false.")
    default = ThinkingSettings()
    return ThinkingSettings(
        asked or default.asked, tuple(sorted(variables.items())), thought_tokens or default.thought_tokens
    )


def template_variable(text: Any) -> tuple[str, Any]:
    """``reasoning_effort=low`` and ``enable_thinking=false`` as name and value.

    Raises:
        UsageError: it is not written so.
    """
    name, mark, value = str(text).partition("=")
    if not mark:
        raise UsageError(f"{TEMPLATE.flag}={text}: write KEY=VALUE, such as enable_thinking=false.")
    if value in PYTHON_WORDS:
        return name, PYTHON_WORDS[value]
    try:
        found = json.loads(value)
    except ValueError:
        return name, value
    return name, value if isinstance(found, (dict, list)) else found
