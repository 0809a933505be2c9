"""Drops that are real although they are within their limit: worth a warning, no verdict."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.score_gates import COLLAPSE
from pytest_slmsec.gates.policy.suite import benjamini_hochberg
from pytest_slmsec.gates.statistics.result import GateResult, Verdict

LEVEL = 0.05
MIDP = "mcnemar_midp"


def tolerated_drops(gates: Sequence[Judged]) -> list[str]:
    """A sentence on each gate that PASSes although its drop is no chance find.

    McNemar's mid-p of "no change at all", adjusted over all paired gates by Benjamini and Hochberg: of the drops named
    so, at most 5 in 100 are expected to be chance finds.
    """
    tested = [judged.result for judged in gates if MIDP in judged.result.details and judged.what != COLLAPSE]
    adjusted = benjamini_hochberg([result.details[MIDP] for result in tested])
    return [f"{result.gate}: a real but tolerated drop (McNemar mid-p {p:.2g}, adjusted for {len(tested)} gates)."
            for result, p in zip(tested, adjusted, strict=True) if p < LEVEL and _tolerated(result)]  # fmt: skip


def _tolerated(result: GateResult) -> bool:
    return result.verdict is Verdict.PASS and bool(result.details["lost"] > result.details["gained"])
