"""Gate on the worst category: the mean may stay where it is while one technique, language or severity collapses.

Every category is a paired gate of its own (`paired_binary`, `paired_real`). That one of G drops is beyond the margin is
claimed where the smallest p-value is below alpha / G, the first step of Holm (Scandinavian Journal of Statistics 6:65,
1979). That all are within it takes no adjustment: each has to be shown at alpha (intersection-union test, Berger,
Technometrics 24:295, 1982).
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.result import POINTS, GateResult, Verdict, three_way

MIN_ITEMS = 30
"""Items that a category needs to be judged by itself."""


def worst_group_gate(
    usual: Mapping[str, GateResult], strict: Mapping[str, GateResult], gate: str = "worst category", unit: str = POINTS
) -> GateResult:
    """Is the candidate worse by more than the margin in any category?

    FAIL if a category FAILs at alpha / G, PASS if all PASS at alpha, else INCONCLUSIVE.

    Args:
        usual: the gate of each category at alpha. strict: the same at alpha over the number of categories.

    Returns:
        The largest drop; its lower bound is the largest lower bound at alpha / G, its upper bound the largest upper
        bound at alpha, and its p-value the smallest one times G. ``details["worst"]`` names the category.

    Raises:
        UsageError: no category, or the two sides have others.
    """
    if not usual or usual.keys() != strict.keys():
        raise UsageError("A gate on categories needs at least one, each judged at both levels.")
    worst = max(usual, key=lambda name: usual[name].estimate or 0.0)
    example = usual[worst]
    verdict = three_way(
        any(result.verdict is Verdict.FAIL for result in strict.values()),
        all(result.verdict is Verdict.PASS for result in usual.values()),
    )
    lowers = [result.lower for result in strict.values() if result.lower is not None]
    uppers = [result.upper for result in usual.values()]
    p_values = [result.p_fail for result in usual.values()]
    return GateResult(
        gate,
        verdict,
        sum(result.n for result in usual.values()),
        example.estimate,
        max(lowers, default=None),
        None if None in uppers else max(upper for upper in uppers if upper is not None),
        example.margin,
        None if None in p_values else min(1.0, len(usual) * min(p for p in p_values if p is not None)),
        example.method,
        unit,
        example.scale,
        details={"worst": worst, "worst_items": example.n, "categories": len(usual)},
    )
