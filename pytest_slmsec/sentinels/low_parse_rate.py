"""Answers that cannot be read."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_below

SHARE = 0.8
"""Below four fifths the score says more about the form of the answers than about what is in them."""


def check(evidence: Evidence) -> str | None:
    """Fires when the share of answers that could be read is surely below the threshold."""
    parsed = sum(evidence.parsed)
    return f"only {parsed} of {evidence.n} answers could be read" if surely_below(parsed, evidence.n, SHARE) else None


SENTINEL = Sentinel(
    "low-parse-rate",
    "Many answers could not be read, so the score measures the form of the answers.",
    "Read some answers with --slmsec-transcript; raise --slmsec-max-new-tokens where they are cut off, or use the "
    "variant of the benchmark that is scored by choice.",
    check,
)
