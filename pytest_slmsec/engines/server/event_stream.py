"""Answers that a server streams in pieces: read as they come, and joined to the answer that it would give whole.

Sources: server-sent events (WHATWG HTML, section 9.2) with the chunks of OpenAI's API: each line ``data: {...}`` holds
a piece of the answer in ``choices[0].delta`` (or ``choices[0].text``), and ``data: [DONE]`` ends it. Ollama's API
(``docs/api.md``) sends one JSON object a line (``application/x-ndjson``), the last of which has ``"done": true``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
"""Media types of the two kinds of streams."""
LINE_END = re.compile(rb"\r\n|\n|\r")
"""No other character ends a line here; `bytes.splitlines` knows the same ones, but loses whether the last one ended."""
FIELD, END = b"data:", b"[DONE]"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
THOUGHT_FIELDS = ("reasoning_content", "reasoning", "thinking")
"""Where servers put the model's reasoning: vLLM, SGLang, llama.cpp and DeepSeek; newer vLLM, OpenRouter and Groq; and
Ollama and some proxies of it."""
TEXT_FIELDS = ("content", "text", "response", "refusal", "tool_calls", *THOUGHT_FIELDS)
"""Where a piece holds something that the model wrote."""


class CutOff(ValueError):
    """The stream ended before the answer did."""


class TextWatch:
    """Watches a stream as it comes: when its first piece with a text or thought was complete, and how many there were.

    Attributes:
        first_s: seconds that `feed` was given with that piece; None: there was none so far.
        pieces: how many pieces held a text or thought.
    """

    def __init__(self, media_type: str) -> None:
        self._lines = media_type.startswith((EVENTS, LINES))
        self._rest = b""
        self.first_s: float | None = None
        self.pieces = 0

    def feed(self, chunk: bytes, seconds: float) -> None:
        """Take the next bytes in, which may end anywhere. `seconds`: since the request."""
        if not self._lines:
            return
        *whole, self._rest = LINE_END.split(self._rest + chunk)
        self.pieces += sum(_has_text(line.removeprefix(FIELD)) for line in whole)
        if self.pieces and self.first_s is None:
            self.first_s = seconds


def _has_text(line: bytes) -> bool:
    try:
        piece = json.loads(line)
    except (ValueError, RecursionError):
        return False  # a comment, an end, or damaged: then the whole answer tells
    if not isinstance(piece, dict):
        return False
    choice = _first_choice(piece)
    places = (piece, piece.get("message"), choice, choice.get("delta"))
    return any(place.get(name) for place in places if isinstance(place, Mapping) for name in TEXT_FIELDS)


def is_stream(media_type: str, content: bytes) -> bool:
    """Whether a response is a stream; some servers do not say so in its media type."""
    return media_type.startswith((EVENTS, LINES)) or content.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(FIELD)


def whole_answer(media_type: str, content: bytes) -> dict[str, Any]:
    """The answer as the API gives it without streaming; an error in the stream stands for the whole answer.

    Raises:
        CutOff: the stream has neither an end nor a finish reason. ValueError: a piece is no JSON object.
    """
    return _of_lines(content) if media_type.startswith(LINES) else _of_events(content)


def _of_events(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = {}
    choice: dict[str, Any] = {"index": 0, "finish_reason": None}
    ended = False
    for line in LINE_END.split(content.removeprefix(BYTE_ORDER_MARK)):
        data = line.removeprefix(FIELD).strip()
        if not line.startswith(FIELD) or not data:
            continue  # a comment, another field, or an event without data, which keeps the connection open
        if data == END:
            ended = True
            continue
        piece = _piece(data)
        value |= {key: part for key, part in piece.items() if key != "choices" and part is not None}
        _add_choice(choice, _first_choice(piece))
    if value.get("error"):
        return value
    if not ended and choice["finish_reason"] is None:
        raise CutOff("the stream has no end")
    return {**value, "choices": [choice]}


def _of_lines(content: bytes) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for piece in map(_piece, filter(bytes.strip, LINE_END.split(content))):
        if piece.get("error"):
            return piece
        message = piece.pop("message", None)
        if isinstance(message, dict):
            _add_message(value, message)
        for key, part in piece.items():
            _add(value, key, part, joins=key in ("response", "thinking", "logprobs"))
    if not value.get("done"):
        raise CutOff("the stream has no end")
    return value


def _piece(data: bytes) -> dict[str, Any]:
    piece = json.loads(data.decode("utf-8", "replace"))
    if not isinstance(piece, dict):
        raise ValueError("a piece of the stream is no JSON object")
    return piece


def _first_choice(piece: Mapping[str, Any]) -> dict[str, Any]:
    choices = piece.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _add_choice(choice: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add one piece: texts and lists of log-probabilities are joined, and any other value replaces the one before."""
    for key, part in piece.items():
        if key == "delta" and isinstance(part, dict):
            _add_message(choice, part)
        elif key == "logprobs" and isinstance(part, dict):
            logprobs = choice.setdefault("logprobs", {})
            for name, values in part.items():
                _add(logprobs, name, values, joins=True)
        elif key != "index":
            _add(choice, key, part, joins=key == "text")


def _add_message(found: dict[str, Any], piece: Mapping[str, Any]) -> None:
    """Add a piece of a turn to ``found["message"]``."""
    message = found.setdefault("message", {})
    for name, part in piece.items():
        _add(message, name, part, joins=name != "role")


def _add(found: dict[str, Any], key: str, part: Any, joins: bool) -> None:
    before = found.get(key)
    if part is None:
        return
    if joins and isinstance(before, list) and isinstance(part, str):
        part = [part]  # Mistral: a thought as a list of parts, then the answer as text
    same_kind = isinstance(before, (str, list)) and type(before) is type(part)
    found[key] = before + part if joins and same_kind else part
