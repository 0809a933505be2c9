"""Answers in the asked form that hold none of the facts."""

from __future__ import annotations

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.facts import facts_of, score_facts
from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

RECALL, SHARE = 0.2, 0.5
"""An answer with at most this recall holds no more than a commonplace would; half of all answers may be so."""


def check(evidence: Evidence) -> str | None:
    """The number of answers that have the form and next to no facts."""
    rows = zip(evidence.item, evidence.gold, evidence.text, strict=False)
    scores = [score_facts(Item(name, "", gold), Output(text=text), Mode.STRICT)
              for name, gold, text in rows if text and facts_of(gold) is not None]  # fmt: skip
    formed = [score for score in scores if score.parsed]
    count = sum(score.value <= RECALL for score in formed)
    if not surely_above(count, len(formed), SHARE):
        return None
    return f"{count} of {len(formed)} answers have the asked form and at most one fact in five"


SENTINEL = Sentinel(
    "form-without-facts",
    "Answers have the asked form and hardly any of the facts: what was learnt is the form.",
    "Look at the recall and not at the parse rate; read the answers with --slmsec-transcript.",
    check,
)
