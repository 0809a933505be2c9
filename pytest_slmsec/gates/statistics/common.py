"""Checked numbers common to all gates, and what can be said when a gate could not decide."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

from pytest_slmsec.core.errors import UsageError


def normal_quantile(alpha: float) -> float:
    """z with P(standard normal > z) = `alpha`.

    Raises:
        UsageError: `alpha` is not in (0, 0.5).
    """
    if not 0 < alpha < 0.5:
        raise UsageError(f"alpha is a one-sided error rate and must lie between 0 and 0.5, got {alpha}; 0.05 is usual.")
    return NormalDist().inv_cdf(1 - alpha)


def check_margin(margin: float, scale: float = 1.0) -> None:
    """Refuse a margin outside the open range (0, `scale`), and a scale that is no positive number.

    Raises:
        UsageError: as said, naming both numbers.
    """
    if not (math.isfinite(scale) and scale > 0):
        raise UsageError(f"The scale of a metric must be a positive number (worst minus best), got {scale}.")
    if not 0 < margin < scale:
        hint = " (2 points are 0.02)" if scale == 1 else ""
        raise UsageError(f"The margin must lie strictly between 0 and {scale:g}{hint}, got {margin}.")


def items_needed(
    variance: float, estimate: float, margin: float, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """Items at which a gate would probably decide, if the drop and the spread stay as measured.

    N' = (z_alpha + z_beta)^2 variance / (margin - estimate)^2, the usual sample size of a one-sided test with a normal
    statistic (Julious, Stat Med 23:1921, 2004). With an estimate beyond the margin it is the size that confirms FAIL.

    Args:
        variance: of one item's difference (binary: P(lost) + P(gained) - drop^2).
        estimate, margin: measured and tolerated drop, same unit.

    Returns:
        The number of items, at least 1, or None where the estimate is the margin.
    """
    if estimate == margin:
        return None
    z_sum = normal_quantile(alpha) + NormalDist().inv_cdf(power)
    return max(1, math.ceil(z_sum**2 * variance / (margin - estimate) ** 2))


def items_to_decide(
    variance: float, estimate: float, margin: float, floor: int, alpha: float = 0.05, power: float = 0.8
) -> int | None:
    """The one number behind "needs about N items", in a plan and in a verdict: `items_needed`, at least `floor`.

    They differ in what they assume: a plan no drop and a usual share of changed answers (`gates.plan`), a verdict that
    drop and spread stay as measured. Below the floor nothing can PASS; a FAIL may be confirmed there.
    """
    need = items_needed(variance, estimate, margin, alpha, power)
    return need if need is None or estimate > margin else max(need, floor)


def undecided(
    variance: float, n: float, estimate: float, margin: float, floor: int, alpha: float, power: float = 0.8
) -> dict[str, Any]:
    """What to say about an undecided gate, as plain data.

    Returns:
        ``leaning`` (PASS, FAIL, or None at the margin), ``below_floor``, ``floor_items``, ``close_to_limit`` (the drop
        is within half a standard error of the margin, so more items will not help soon), ``items_needed`` (at least the
        floor when leaning PASS).
    """
    need = items_to_decide(variance, estimate, margin, floor, alpha, power)
    side = "PASS" if estimate < margin else "FAIL"
    return {
        "leaning": None if need is None else side,
        "below_floor": n < floor,
        "floor_items": floor,
        "close_to_limit": abs(margin - estimate) < 0.5 * math.sqrt(variance / n),
        "items_needed": need,
    }
