"""Content of an answer as a list of parts: its text, its thought and its refusal.

Sources: OpenAI's chat completions (``text``, ``refusal``), Mistral's API (``thinking`` with a list of texts), proxies
of Anthropic's API (``thinking`` with a text), SGLang and OpenRouter (``reasoning``).
"""

from __future__ import annotations

from typing import Any

from pytest_slmsec.engines.server.dialect import text_of
from pytest_slmsec.engines.server.event_stream import THOUGHT_FIELDS

THOUGHT_PARTS = ("thinking", "reasoning", "reasoning_content", "reasoning_text", "thought")
"""Types of parts that hold a thought. A part of any other type with a text is part of the answer."""


def text_of_parts(content: Any) -> Any:
    """Content as text: the texts of a list of parts (``[{"type": "text", "text": "A"}]``) are joined, without thoughts;
    anything else than a list is unchanged."""
    if not isinstance(content, list):
        return content
    return _joined([part for part in content if _type(part) not in THOUGHT_PARTS])


def thought_of_parts(content: Any) -> str | None:
    """The thoughts among the parts of content, or None: ``{"type": "thinking", "thinking": [{"type": "text", "text":
    "..."}]}``, ``{"type": "thinking", "thinking": "..."}`` or ``{"type": "reasoning", "text": "..."}``."""
    thoughts = [part for part in content if _type(part) in THOUGHT_PARTS] if isinstance(content, list) else []
    held = [next((part[name] for name in (*THOUGHT_FIELDS, "text") if part.get(name)), "") for part in thoughts]
    return "".join(_joined(part if isinstance(part, list) else [part]) for part in held) or None


def refusal_of_parts(content: Any) -> str | None:
    """The text of a part ``{"type": "refusal", "refusal": "..."}``, or None."""
    parts = content if isinstance(content, list) else ()
    return next((text_of(part.get("refusal")) for part in parts if _type(part) == "refusal"), None)


def _type(part: Any) -> str | None:
    return text_of(part.get("type")) if isinstance(part, dict) else None


def _joined(parts: list[Any]) -> str:
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))
