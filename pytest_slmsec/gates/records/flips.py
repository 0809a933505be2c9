"""The items that made the difference, one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pytest_slmsec.gates.records.comparability import Pair


def flips(pair: Pair) -> Iterator[dict[str, Any]]:
    """Every item that scores otherwise, in the order of the data set, as plain data.

    `change` is ``lost`` (base right, candidate wrong), ``gained``, or, where both are right or both wrong, ``worse`` or
    ``better``.
    """
    base, candidate, up = pair.base, pair.candidate, pair.base.facts["higher_is_better"]
    a, b = base.columns, candidate.columns
    for row in range(base.n):
        before, after = a["value"][row], b["value"][row]
        if before == after and a["correct"][row] == b["correct"][row]:
            continue
        change = "worse" if (after < before) == up else "better"
        if a["correct"][row] != b["correct"][row]:
            change = "lost" if a["correct"][row] else "gained"
        yield {
            "benchmark": base.benchmark,
            "item": a["item"][row],
            "change": change,
            "gold": a["gold"][row],
            "base_answer": a["extracted"][row],
            "candidate_answer": b["extracted"][row],
            "base_score": before,
            "candidate_score": after,
            "base_text": a["text"][row],
            "candidate_text": b["text"][row],
        }


def lost_items(pair: Pair, most: int) -> list[str]:
    """Ids of the first items that were lost, or, without any, that got worse; at most `most`."""
    found = list(flips(pair))
    chosen = [f for f in found if f["change"] == "lost"] or [f for f in found if f["change"] == "worse"]
    return [str(f["item"]) for f in chosen[:most]]
