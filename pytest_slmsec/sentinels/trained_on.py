"""Questions that stand in the data that was named as training data."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """How many questions stand in the training data; one is enough, for it is known and not estimated."""
    count = sum(bool(seen) for seen in evidence.trained_on)
    return f"{count} of {evidence.n} questions stand in the training data" if count else None


SENTINEL = Sentinel(
    "trained-on-items",
    "Questions of the benchmark stand in the training data, so the score may be memory.",
    "Judge by the score without these items, which the summary, the record and slmsec compare give, or take them out "
    "of the training data.",
    check,
)
