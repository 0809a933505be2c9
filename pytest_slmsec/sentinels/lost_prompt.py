"""Prompts of which a part did not arrive."""

from __future__ import annotations

from pytest_slmsec.core.wrap import counted
from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """Fires on prompts with fewer tokens than words: tokenizers never join words, so something was cut off."""
    counts = zip(evidence.item, evidence.prompt_tokens, evidence.prompt_words, strict=False)
    short = [(item, tokens, words) for item, tokens, words in counts if tokens and words and tokens < words]
    if not short:
        return None
    item, tokens, words = max(short, key=lambda row: row[2] - row[1])
    where = f"{counted(len(short), 'item')} ({item}: {tokens} of {words})"
    return f"fewer prompt tokens were counted than words were sent on {where}"


SENTINEL = Sentinel(
    "lost-prompt-tokens",
    "The engine counted fewer prompt tokens than words were sent: the prompt was cut.",
    "Raise the context length of the engine or server (num_ctx, --ctx-size, --max-model-len), or deselect long items.",
    check,
)
