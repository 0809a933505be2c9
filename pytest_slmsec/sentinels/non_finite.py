"""Log-probabilities that are NaN or infinite."""

from __future__ import annotations

import math

from pytest_slmsec.sentinels.base import Evidence, Sentinel


def check(evidence: Evidence) -> str | None:
    """Fires on a single item, because sound arithmetic gives no NaN and no infinity."""
    bad = [
        item
        for item, row in zip(evidence.item, evidence.logprobs, strict=False)
        if row and any(value is not None and not math.isfinite(value) for value in row)
    ]
    return f"{len(bad)} of {evidence.n} items have log-probabilities that are not finite ({bad[0]})" if bad else None


SENTINEL = Sentinel(
    "non-finite-logprobs",
    "Log-probabilities are NaN or infinite: weights are damaged, or numbers overflow.",
    "Run the model in bf16 or fp32 instead of fp16; verify or make the quantised weights again.",
    check,
)
