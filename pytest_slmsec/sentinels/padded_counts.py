"""Token counts that cannot be those of the texts."""

from __future__ import annotations

from pytest_slmsec.replay.padding import padding
from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """Fires on counts that include padding; `replay.padding` has the rule."""
    if evidence.by_choice:
        return None
    thoughts = evidence.thought or [None] * len(evidence.text)
    columns = zip(evidence.new_tokens, evidence.text, thoughts, strict=False)
    rows = [(n, f"{thought or ''}{text}") for n, text, thought in columns if n is not None and text is not None]
    return padding([n for n, _ in rows], [text for _, text in rows], evidence.batch) if rows else None


SENTINEL = Sentinel(
    "padded-token-counts",
    "Padding was counted as generated tokens, so tokens per second are too high.",
    "Measure speed again with a harness that counts up to the end of each answer; do not compare it with other runs.",
    check,
)
