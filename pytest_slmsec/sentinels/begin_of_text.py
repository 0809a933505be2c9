"""A prompt without the begin-of-text token the model was trained with, or with two of them."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """Counted when the model is loaded: a short conversation is tokenised as all prompts are."""
    found = evidence.begin_of_text or {}
    if not found:
        return None
    if found["found"] > 1:
        return f"prompts begin with {found['found']} begin-of-text tokens"
    if found["expected"] and not found["found"]:
        return "prompts do not begin with the begin-of-text token that the tokenizer puts before any other text"
    return None


SENTINEL = Sentinel(
    "begin-of-text",
    "Prompts begin with no begin-of-text token where the model expects one, or with two.",
    "Compare the chat template with the tokenizer's settings (add_bos_token); fetch both from the same revision.",
    check,
)
