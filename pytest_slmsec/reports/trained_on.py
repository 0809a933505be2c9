"""The score of a result with and without the items that stand in the training data (``--slmsec-trained-on``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_slmsec.core.items import ALL_SEEN, TRAINED_ON, Score
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.scoring.base import Mode


def training_facts(evaluated: EvaluationResult) -> dict[str, Any]:
    """For the record: ``trained_on`` with the files, the number of items in them, and the score without these, or the
    reason why there is none. Empty where nobody looked."""
    facts = evaluated.header.get(TRAINED_ON)
    if facts is None or evaluated.metric is None:
        return {}
    rows = evaluated.measured()
    unseen = [Score(**row["score"]) for row in rows if not row.get(TRAINED_ON)]
    result = evaluated.metric.aggregate(unseen, Mode(evaluated.header["mode"])) if unseen else None
    found = {
        "seen": len(rows) - len(unseen),
        "n_without": len(unseen),
        "score_without": None if result is None else result.value,
        "reason": None if unseen else ALL_SEEN,
    }
    return {TRAINED_ON: {**facts, **found}}


def without_training(results: Sequence[EvaluationResult]) -> list[str]:
    """A sentence on each result of which an item stands in the training data, with both scores."""
    found = [(evaluated, training_facts(evaluated).get(TRAINED_ON)) for evaluated in results]
    return [_told(evaluated, facts) for evaluated, facts in found if facts is not None and facts["seen"]]


def _told(evaluated: EvaluationResult, facts: dict[str, Any]) -> str:
    items = counted(facts["seen"] + facts["n_without"], "item")
    name = f"{evaluated.label} on {evaluated.model}: {facts['seen']:,} of {items} in the training data"
    if facts["reason"] is not None:
        return f"{name}; {facts['reason']}."
    result, scale = evaluated.result(), evaluated.header["scale"]
    score = None if result is None else result.value
    return f"{name}; score {_value(score, scale)}, and {_value(facts['score_without'], scale)} without them."


def _value(value: float | None, scale: float) -> str:
    if value is None:
        return "unknown"
    return f"{100 * value:.1f} %" if scale == 1 else f"{value:.2f}"
