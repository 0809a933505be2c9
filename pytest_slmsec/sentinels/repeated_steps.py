"""Lists of remedies that name one step again and again."""

from __future__ import annotations

from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.facts import facts_of, read_answer, words_of
from pytest_slmsec.sentinels.base import Evidence, Sentinel, surely_above

SHARE = 0.05
"""Share of the answers that may repeat a step."""


def check(evidence: Evidence) -> str | None:
    """The number of answers that name a step twice, in the same words."""
    rows = zip(evidence.gold, evidence.text, strict=False)
    readings = [read_answer(text, Mode.STRICT) for gold, text in rows if text and facts_of(gold) is not None]
    steps = [[tuple(words_of(step)) for step in reading.steps] for reading in readings if reading is not None]
    count = sum(len({*named}) < len(named) for named in steps)
    if not surely_above(count, len(steps), SHARE):
        return None
    return f"{count} of {len(steps)} answers name a step twice"


SENTINEL = Sentinel(
    "repeated-steps",
    "Answers name the same step more than once: the model is caught in a loop.",
    "Compare with the unquantised model; heavy quantisation and a wrong end-of-text token look like this.",
    check,
)
