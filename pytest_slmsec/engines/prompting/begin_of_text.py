"""Counts the begin-of-text tokens of a prompt, once when a model is loaded, for the sentinel `begin-of-text`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.prompting.prompts import Prompts

PROBE = "text"


class BeginOfText(TypedDict):
    """`expected`: the tokenizer puts one before plain text. `found`: how many a prompt begins with."""

    expected: bool
    found: int


def begin_of_text(prompts: Prompts) -> BeginOfText | None:
    """Counts for a conversation of one word; None if the model has no such token or refuses the conversation."""
    bos = prompts.tokenizer.bos_token_id
    if bos is None:
        return None
    plain = prompts.tokenizer(PROBE)["input_ids"]
    try:
        [prompt] = prompts.tokenise([prompts.render((Message("user", PROBE),))])
    except Exception:  # a template may refuse this text; items that it refuses get its message
        return None
    return {"expected": _leading(plain, bos) > 0, "found": _leading(prompt, bos)}


def _leading(ids: Sequence[Any], bos: int) -> int:
    return next((at for at, token in enumerate(ids) if token != bos), len(ids))
