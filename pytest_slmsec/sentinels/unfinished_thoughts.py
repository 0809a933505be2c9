"""Models that were still thinking when their tokens ran out."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.02
"""Each of them is an item without an answer, which the model might have answered right."""


def check(evidence: Evidence) -> str | None:
    """Answers that consist of a thought without an end."""
    if evidence.by_choice:
        return None
    cut = sum(evidence.unfinished)
    return (
        f"{cut} of {evidence.n} answers are thoughts without an end" if surely_above(cut, evidence.n, SHARE) else None
    )


SENTINEL = Sentinel(
    "unfinished-thoughts",
    "The model was still thinking when its tokens ran out, so there is no answer to score.",
    "Raise --slmsec-thought-tokens and the model's context, lower the reasoning effort "
    "(--slmsec-template reasoning_effort=low), or measure the model as it answers without thinking "
    "(--slmsec-thinking=off).",
    check,
)
