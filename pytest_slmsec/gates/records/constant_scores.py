"""What the best constant answer scores on each item of a run, also of records that are older than that column."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

CONSTANT = "constant"
"""Column of a record: what the best constant answer scores on each item, in the unit of the metric; null where the
item is not counted. Absent where no such answer is known."""
TOLERANCE = 1e-6


def with_constant(columns: Mapping[str, Sequence[Any]], facts: Mapping[str, Any]) -> Mapping[str, Sequence[Any]]:
    """The columns with `CONSTANT`, where it is stored or can be found from the gold answers.

    An older record names the best constant answer and its mean score (``facts["constant"]``). Its score on each item
    follows from the gold answers of metrics that are the share of equal answers, a distance of CVSS base scores, or the
    F1 of technique ids. It is used only if its mean is the stored one.
    """
    known = facts.get("constant")
    if CONSTANT in columns or not isinstance(known, Mapping):
        return columns
    scores = _scores(str(known.get("answer")), [str(gold) for gold in columns["gold"]], facts)
    counted = [score for score in scores if score is not None]
    stored = known.get("value")
    if not counted or not isinstance(stored, (int, float)):
        return columns
    same = abs(math.fsum(counted) / len(counted) - stored) <= TOLERANCE * max(1.0, abs(stored))
    return {**columns, CONSTANT: scores} if same else columns


def _scores(answer: str, golds: Sequence[str], facts: Mapping[str, Any]) -> list[float | None]:
    metric = facts["metric"]
    if metric == "MAD":
        return _base_score_distances(answer, golds)
    if metric == "F1":
        return _technique_f1(answer, golds)
    if metric == "accuracy" and answer in golds:
        return [float(gold == answer) for gold in golds]
    return []


def _base_score_distances(answer: str, golds: Sequence[str]) -> list[float | None]:
    from pytest_slmsec.scoring.cvss import base_score

    try:
        guess = float(answer)
    except ValueError:
        return []
    found = [base_score(gold) for gold in golds]
    return [None if score is None else abs(score - guess) for score in found]


def _technique_f1(answer: str, golds: Sequence[str]) -> list[float | None]:
    from pytest_slmsec.scoring.attack_techniques import f1, technique_ids

    said = technique_ids(answer)
    found = [technique_ids(gold) for gold in golds]
    return [f1(len(gold & said), len(said - gold), len(gold - said)) for gold in found]
