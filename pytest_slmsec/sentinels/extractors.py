"""Two readings of the same answers that give different scores."""

from __future__ import annotations

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.sentinels.base import Evidence, Sentinel

POINTS = 5.0
"""Percentage points of all items; more than twice what a gate tolerates by default."""
FEWEST = 5
"""Items that must be read differently."""


def check(evidence: Evidence) -> str | None:
    """The share of right answers by the official and by the strict scorer, over all items, where a text is enough."""
    from pytest_slmsec.tasks.registry import tasks

    task = tasks().get(evidence.task)
    asked_twice = task is not None and task.followups is not None
    if task is None or evidence.by_choice or not evidence.texts or asked_twice or not task.metric.binary:
        return None
    rows = list(zip(evidence.item, evidence.gold, evidence.text, strict=True))
    try:
        official, strict = (
            [task.scorer(Item(name, "", gold), Output(text=text or ""), mode).correct for name, gold, text in rows]
            for mode in (Mode.OFFICIAL, Mode.STRICT)
        )
    except KeyError:  # the scorer needs more of an item than its gold answer
        return None
    differ = sum(one != other for one, other in zip(official, strict, strict=True))
    first, second = (100 * sum(right) / evidence.n for right in (official, strict))
    if abs(first - second) < POINTS or differ < FEWEST:
        return None
    return f"the official scorer finds {first:.1f} % right and the strict one {second:.1f} %, in the same texts"


SENTINEL = Sentinel(
    "extractors-disagree",
    "The official and the strict reading of the same answers give different scores.",
    "Compare with published tables in official mode only, between your own models in strict mode; read the answers "
    "that differ with --slmsec-transcript.",
    check,
)
