"""All options tied, or the same log-probabilities whatever the question."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

NATS = 1e-6
"""Closer than float32 can tell two log-probabilities of usual size (-0.1 to -30) apart."""
SHARE = 0.02
"""A sound model ties two of four options now and then in 16 bits, never all of them."""
FEWEST = 5
"""Items that must agree to be called constant; two or three may be equal questions."""


def check(evidence: Evidence) -> str | None:
    """Fires on items whose options are all tied, or else on equal log-probabilities for all items."""
    rows = [[float("nan") if value is None else value for value in row] for row in evidence.logprobs if row]
    rows = [row for row in rows if len(row) > 1]
    tied = sum(max(row) - min(row) <= NATS for row in rows)
    if surely_above(tied, len(rows), SHARE):
        return f"all options have the same log-probability on {tied} of {len(rows)} items"
    first = rows[0] if rows else []
    same = all(
        len(row) == len(first) and all(abs(a - b) <= NATS for a, b in zip(row, first, strict=True)) for row in rows
    )
    return f"all {len(rows)} items have the same log-probabilities" if same and len(rows) >= FEWEST else None


SENTINEL = Sentinel(
    "flat-options",
    "The options of a question have equal log-probabilities, so the choice is no answer.",
    "Look at prompt and choices with --slmsec-transcript; check that the engine scores the choice and not padding, and "
    "that a server returns log-probabilities of prompt tokens.",
    check,
)
