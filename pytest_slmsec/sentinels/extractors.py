"""Two readings of the same answers that give different scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_slmsec.core.items import REBUILT, Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.sentinels.base import Evidence, Sentinel

if TYPE_CHECKING:
    from pytest_slmsec.tasks.base import Task

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
    rows = zip(evidence.item, evidence.gold, evidence.text, strict=True)
    both = [_right_in_both_modes(task, Item(name, "", gold, meta={REBUILT: True}), text) for name, gold, text in rows]
    known = [right for right in both if right is not None]
    official, strict = [right[0] for right in known], [right[1] for right in known]
    differ = sum(one != other for one, other in known)
    if not known:
        return None
    first, second = (100 * sum(right) / len(known) for right in (official, strict))
    if abs(first - second) < POINTS or differ < FEWEST:
        return None
    return f"the official scorer finds {first:.1f} % right and the strict one {second:.1f} %, in the same texts"


def _right_in_both_modes(task: Task, item: Item, text: str | None) -> tuple[bool, bool] | None:
    """Whether an answer is right by the official and by the strict scorer; None where the scorer needs more of the item
    than its gold answer."""
    output = Output(text=text or "")
    try:
        return task.scorer(item, output, Mode.OFFICIAL).correct, task.scorer(item, output, Mode.STRICT).correct
    except KeyError:
        return None


SENTINEL = Sentinel(
    "extractors-disagree",
    "The official and the strict reading of the same answers give different scores.",
    "Compare with published tables in official mode only, between your own models in strict mode; read the answers "
    "that differ with --slmsec-transcript.",
    check,
)
