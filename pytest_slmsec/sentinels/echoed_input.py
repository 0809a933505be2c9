"""Answers that repeat the log they were asked about."""

from __future__ import annotations

from pytest_slmsec.scoring.facts import facts_of, words_of
from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

ECHOED, SHARE = 0.8, 0.05
"""Share of the answer's words that stand in the log, and share of the answers that may be so."""
FEWEST_WORDS = 5


def check(evidence: Evidence) -> str | None:
    """The number of answers that hold little but words of their log."""
    rows = [(facts_of(gold), text) for gold, text in zip(evidence.gold, evidence.text, strict=False) if text]
    known = [(facts.log, text) for facts, text in rows if facts is not None]
    count = sum(_echoes(log, text) for log, text in known)
    if not surely_above(count, len(known), SHARE):
        return None
    return f"{count} of {len(known)} answers hold little but words of the log they are about"


def _echoes(log: str, text: str) -> bool:
    logged, words = {*words_of(log)}, words_of(text)
    return len(words) >= FEWEST_WORDS and sum(word in logged for word in words) >= ECHOED * len(words)


SENTINEL = Sentinel(
    "echoed-input",
    "Answers repeat the log instead of explaining it.",
    "Check the chat template (a base model goes on with its prompt), and read the answers with --slmsec-transcript.",
    check,
)
