"""Answers that were cut off."""

from __future__ import annotations

from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.05
"""In strict mode each of them is wrong; one in twenty moves a score by as much as a gate tolerates, and more."""


def check(evidence: Evidence) -> str | None:
    """Answers that ended at the token limit. Thoughts that did so belong to the sentinel `unfinished-thoughts`."""
    if evidence.by_choice:
        return None
    thoughts = evidence.unfinished or [False] * evidence.n
    cut = sum(hit and not thinking for hit, thinking in zip(evidence.hit_limit, thoughts, strict=True))
    return f"{cut} of {evidence.n} answers ended at the token limit" if surely_above(cut, evidence.n, SHARE) else None


SENTINEL = Sentinel(
    "token-limit",
    "Many answers ended at the token limit; where the whole answer is needed they count as none.",
    "Raise --slmsec-max-new-tokens; if answers never end, check the end-of-text token of the model.",
    check,
)
