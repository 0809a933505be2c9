"""Texts that harnesses write where an answer should stand when a model could not be asked."""

from __future__ import annotations

ERROR_TEXTS = ("Generation Error:", "FAIL TO QUERY", "Error generating response")
"""As they begin: the first of recorded runs, the second of PurpleLlama's `query_llm.py`, the third of AthenaBench."""


def error_text(text: str) -> str | None:
    """The beginning of `text` where it is the text of an error and no answer, else None."""
    start = text.lstrip()
    return start[:100] if start.startswith(ERROR_TEXTS) else None
