"""A model that refuses every input, or none, where half of the inputs are to be refused."""

from __future__ import annotations

from pytest_slmsec.scoring.log_answers import ANSWERED, REFUSED
from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.8
"""Of the answers on each side; a model that knows the difference refuses about half."""


def check(evidence: Evidence) -> str | None:
    """Whether nearly all inputs of both kinds got the fixed sentence, or nearly none did."""
    if {*evidence.gold} != {ANSWERED, REFUSED}:
        return None
    rows = list(zip(evidence.gold, evidence.extracted, strict=True))
    refused = {kind: [given == REFUSED for gold, given in rows if gold == kind] for kind in (ANSWERED, REFUSED)}
    total, n = sum(map(sum, refused.values())), len(rows)
    if all(surely_above(sum(flags), len(flags), SHARE) for flags in refused.values()):
        return f"{total} of {n} inputs are refused, {sum(refused[ANSWERED])} of them logs"
    if all(surely_above(len(flags) - sum(flags), len(flags), SHARE) for flags in refused.values()):
        return f"the fixed sentence is given to {total} of {n} inputs, though {len(refused[REFUSED])} are no log"
    return None


SENTINEL = Sentinel(
    "refuses-all-or-none",
    "Nearly every input is refused, or nearly none: the score of the refusals is that of a constant answer.",
    "Read the answers with --slmsec-transcript; a model that refuses in words of its own does not follow the "
    "instruction, and one that refuses logs does not know them.",
    check,
)
