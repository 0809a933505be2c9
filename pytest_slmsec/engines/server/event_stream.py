"""Answers that a server streams although they were asked for whole, or because it only streams.

Source: server-sent events (WHATWG HTML, section 9.2) with the chunks of OpenAI's API: each line ``data: {...}`` holds a
piece of the answer in ``choices[0].delta`` (or ``choices[0].text``), and ``data: [DONE]`` ends it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

MEDIA_TYPE = "text/event-stream"
LINE_END = re.compile(r"\r\n|\n|\r")
"""No other character ends a line here; `str.splitlines` would also split the texts of answers."""
FIELD, END = "data:", "[DONE]"


class CutOff(ValueError):
    """The stream ended before the answer did."""


def is_stream(media_type: str, content: bytes) -> bool:
    """Whether a response is a stream of events; some servers do not say so in its media type."""
    return media_type.startswith(MEDIA_TYPE) or content.lstrip()[: len(FIELD)] == FIELD.encode()


def whole_answer(content: bytes) -> dict[str, Any]:
    """The answer as the API gives it without streaming; an error in the stream stands for the whole answer.

    Raises:
        CutOff: the stream has neither an end nor a finish reason. ValueError: a piece is no JSON object.
    """
    value: dict[str, Any] = {}
    choice: dict[str, Any] = {"index": 0, "finish_reason": None}
    ended = False
    for data in _data(content):
        if data == END:
            ended = True
            continue
        piece = json.loads(data)
        if not isinstance(piece, dict):
            raise ValueError("a piece of the stream is no JSON object")
        value |= {key: part for key, part in piece.items() if key != "choices" and part is not None}
        pieces = piece.get("choices")
        if isinstance(pieces, list) and pieces and isinstance(pieces[0], dict):
            _add_choice(choice, pieces[0])
    if value.get("error"):
        return value
    if not ended and choice["finish_reason"] is None:
        raise CutOff("the stream has no end")
    return {**value, "choices": [choice]}


def _data(content: bytes) -> Iterator[str]:
    """What stands behind ``data:``, one event after the other; comments and other fields are left out."""
    for line in LINE_END.split(content.decode("utf-8", "replace")):
        if line.startswith(FIELD):
            yield line.removeprefix(FIELD).strip()


def _add_choice(choice: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add one piece: texts and lists of log-probabilities are joined, and any other value replaces the one before."""
    for key, part in piece.items():
        if key == "delta" and isinstance(part, dict):
            message = choice.setdefault("message", {})
            for name, text in part.items():
                _add(message, name, text, joins=name != "role")
        elif key == "logprobs" and isinstance(part, dict):
            logprobs = choice.setdefault("logprobs", {})
            for name, values in part.items():
                _add(logprobs, name, values, joins=True)
        elif key != "index":
            _add(choice, key, part, joins=key == "text")


def _add(found: dict[str, Any], key: str, part: Any, joins: bool) -> None:
    before = found.get(key)
    if part is None:
        return
    same_kind = isinstance(before, (str, list)) and type(before) is type(part)
    found[key] = before + part if joins and same_kind else part
