"""Answers without any text."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.02
"""Asked to answer, a working model is silent on hardly one item in a hundred."""


def check(evidence: Evidence) -> str | None:
    """Generated texts that are empty or blank."""
    texts = evidence.texts
    empty = sum(not text.strip() for text in texts)
    return f"{empty} of {len(texts)} answers are empty" if surely_above(empty, len(texts), SHARE) else None


SENTINEL = Sentinel(
    "empty-answers",
    "Answers are empty.",
    "Check the chat template (without a generation prompt the answer ends at once), the stop strings, and whether "
    "all text is in a field that is not read, such as a server's reasoning.",
    check,
)
