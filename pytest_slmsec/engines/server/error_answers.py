"""Errors that servers and proxies send as JSON, also with status 200.

OpenRouter and other proxies answer 200 before they ask the provider, and put the provider's error into the answer:
``{"error": {"message": "Provider returned error", "code": 502}}``, at the top or in the first choice. vLLM and FastChat
send ``{"object": "error", "message": "...", "code": 400}``, Ollama ``{"error": "..."}``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

CONTENT = ("choices", "message", "response", "data", "models")
"""Keys of an answer that is not an error."""
TOO_MANY = 429


class ErrorAnswer(NamedTuple):
    """`status`: the HTTP status that the error stands for, or None if it does not say. `said`: its message."""

    status: int | None
    said: str


def error_in(value: Mapping[str, Any]) -> ErrorAnswer | None:
    """The error inside an answer of status 200, or None."""
    choices = value.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(first, dict) and first.get("error"):
        return _read(first["error"], value)
    if value.get("object") == "error" or (value.get("error") and not any(value.get(key) for key in CONTENT)):
        return _read(value.get("error") or value, value)
    return None


def message_in(value: Any) -> str:
    """The message in the JSON of an error, wherever servers put it; else the JSON itself."""
    for name in ("error", "message", "detail"):
        value = value.get(name, value) if isinstance(value, dict) else value
    return value if isinstance(value, str) else json.dumps(value)


def _read(error: Any, value: Mapping[str, Any]) -> ErrorAnswer:
    fields = error if isinstance(error, dict) else {}
    codes = [fields.get(name) for name in ("code", "status", "type")] + [value.get("code"), value.get("status")]
    numbers = (_status(code) for code in codes)
    status = next((number for number in numbers if number is not None), None)
    if status is None and any("rate_limit" in code for code in codes if isinstance(code, str)):
        status = TOO_MANY
    return ErrorAnswer(status, message_in(error))


def _status(code: Any) -> int | None:
    """An HTTP status of an error from a number or from digits, or None."""
    if isinstance(code, bool) or not (isinstance(code, int) or (isinstance(code, str) and code.isdecimal())):
        return None
    return int(code) if 400 <= int(code) < 600 else None
