"""One answer to nearly everything."""

from __future__ import annotations

from collections import Counter

from pytest_slmsec.core.wrap import shortened
from pytest_slmsec.sentinels.base import QUOTED, Evidence, Sentinel, surely_above

SHARE = 0.8
"""Four fifths of all answers: no published set has an answer that is right that often (the most frequent letter of the
multiple-choice sets is right in 13 to 37 % of their items)."""
RIGHT = 0.6
"""An answer that is right more often than this may be knowledge: chance gives half of two options."""


def check(evidence: Evidence) -> str | None:
    """The most frequent answer, if it is surely given to more than `SHARE` and right on less than `RIGHT` of these."""
    answers = Counter(answer for answer in evidence.extracted if answer is not None)
    if not answers:
        return None
    [(answer, count)] = answers.most_common(1)
    pairs = zip(evidence.extracted, evidence.correct, strict=True)
    right = sum(correct for extracted, correct in pairs if extracted == answer)
    if not surely_above(count, sum(answers.values()), SHARE) or right > RIGHT * count:
        return None
    quoted = shortened(answer, QUOTED)
    return f"{count} of {sum(answers.values())} answers are {quoted!r}, which is right on {right} of them"


SENTINEL = Sentinel(
    "collapsed-answers",
    "Nearly all answers are the same one, and it is right no more often than chance.",
    "The score says how often this answer is right, not what the model knows: compare the letters with the base model, "
    "check the chat template, and judge by a benchmark that the base can do.",
    check,
)
