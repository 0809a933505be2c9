"""Early stopping at any time: a betting test, alone, with an ordinary test at the end, or without replacement.

Items are taken in a seeded random order that is stored with the result. Every verdict here is a function of the items
seen so far, so a stored prefix reproduces it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.alpha_spending import check_seen
from pytest_slmsec.gates.statistics.common import check_margin, normal_quantile
from pytest_slmsec.gates.statistics.paired_binary import drop_bounds, fail_z, tango_z
from pytest_slmsec.gates.statistics.result import Bounds, GateResult, Verdict, three_way

Floats = NDArray[np.float64]

BETS: Floats = np.asarray(np.geomspace(0.03, 0.9, 20), dtype=np.float64)
"""Fractions of the wealth that the betting test stakes; their wealths are averaged."""

HYBRID_SHARE_ANYTIME = 0.2
"""Part of the error rate that the hybrid gives to its betting test; the rest is for the ordinary test at the end."""


def log_wealth(values: ArrayLike, counts: ArrayLike, drop: float) -> float:
    """Log of the betting test's wealth against "the true drop is at least `drop`"; large means it is smaller.

    Each bet l wins 1 + l (D + drop) / (1 - drop) per item, D in [-1, 1] the candidate's gain; the mean over `BETS` of
    the products is a non-negative supermartingale under the hypothesis, so it reaches 1/alpha with probability at most
    alpha, whenever one looks. It depends on how often each value occurs, not on the order. Against "the drop is at most
    `drop`" call it with -values and -drop.
    Source: Waudby-Smith & Ramdas, JRSS B 86:1 (2024), arXiv 2010.09686 (mixture of constant bets); Ville (1939).

    Args:
        values: distinct values of D. counts: how often each occurred, same shape. drop: in (-1, 1).
    """
    d, times = np.asarray(values, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    logs = np.log1p(BETS[:, None] * (d + drop) / (1 - drop)) @ times
    return float(np.logaddexp.reduce(logs) - math.log(len(BETS)))


def betting_bounds(values: ArrayLike, counts: ArrayLike, alpha: float) -> Bounds:
    """One-sided bounds of the drop, each valid at every number of items at level `alpha`; None where there is none.

    The set of drops whose wealth stays below 1/alpha; the wealth is monotone in the drop.
    """
    d = np.asarray(values, dtype=np.float64)
    return Bounds(_negated(_upper_bound(-d, counts, alpha)), _upper_bound(d, counts, alpha))


def _negated(bound: float | None) -> float | None:
    return None if bound is None else -bound


def _upper_bound(values: Floats, counts: ArrayLike, alpha: float) -> float | None:
    from scipy.optimize import brentq

    def excess(drop: float) -> float:
        return log_wealth(values, counts, drop) + math.log(alpha)

    edge = 1 - 1e-9
    return float(brentq(excess, -edge, edge, xtol=1e-12)) if excess(edge) > 0 > excess(-edge) else None


def _scaled(bounds: Bounds, scale: float) -> Bounds:
    return Bounds(*(None if b is None else b * scale for b in bounds))


def _betting_result(
    values: Floats, counts: Floats, n: int, margin: float, alpha: float, gate: str, unit: str, scale: float
) -> GateResult:
    """The verdict on values in [-1, 1]; `margin` and the result are in units of the metric."""
    log_pass = log_wealth(values, counts, margin / scale)
    log_fail = log_wealth(-values, counts, -margin / scale)
    target = -math.log(alpha)
    verdict = three_way(log_fail >= target, log_pass >= target)
    bounds = _scaled(betting_bounds(values, counts, alpha), scale)
    estimate = -float(values @ counts) / float(counts.sum()) * scale
    return GateResult(gate, verdict, n, estimate, bounds.lower, bounds.upper, margin, min(1.0, math.exp(-log_fail)),
                      "betting", unit, scale, details={"log_e_pass": log_pass, "log_e_fail": log_fail})  # fmt: skip


def anytime_binary_gate(
    lost: int, gained: int, n_seen: int, margin: float, alpha: float = 0.05, *, gate: str = "binary"
) -> GateResult:
    """The betting test on paired binary items: may be asked after any item; PASS or FAIL means stop.

    Raises:
        UsageError: counts or margin out of range.
    """
    check_seen(lost, gained, n_seen, n_seen, margin)
    counts = np.array([lost, gained, n_seen - lost - gained], dtype=np.float64)
    found = _betting_result(np.array([-1.0, 1.0, 0.0]), counts, n_seen, margin, alpha, gate, "points", 1.0)
    return replace(found, details={**found.details, "lost": lost, "gained": gained})


def anytime_real_gate(
    differences: Sequence[float] | Floats,
    margin: float,
    scale: float = 1.0,
    alpha: float = 0.05,
    *,
    gate: str = "real",
    unit: str = "points",
    weight: float = 1.0,
) -> GateResult:
    """The betting test on real-valued differences (candidate minus base, higher is better, within +-`scale`).

    Finite-sample valid for any distribution, at the price of about twice the items. `weight`: independent items that
    one item stands for, below 1 where items come in clusters (an approximation then).

    Raises:
        UsageError: no items, a difference that is not finite or beyond the scale, or a margin out of range.
    """
    d = checked_differences(differences, margin, scale) / scale
    return _betting_result(d, np.full(len(d), weight), len(d), margin, alpha, gate, unit, scale)


def checked_differences(differences: Sequence[float] | Floats, margin: float, scale: float) -> Floats:
    """The differences of a real-valued gate as an array, with its margin checked.

    Raises:
        UsageError: no difference, one that is not finite, or one beyond +-`scale` (names its position, counted from 1);
            a margin outside (0, `scale`).
    """
    check_margin(margin, scale)
    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or len(d) == 0:
        raise UsageError(f"A real-valued gate needs one difference per item, got an array of shape {d.shape}.")
    bad = np.flatnonzero(~np.isfinite(d) | (np.abs(d) > scale * (1 + 1e-9)))
    if len(bad):
        raise UsageError(f"Item {bad[0] + 1} of {len(d)} has the difference {d[bad[0]]}; it must be finite and within "
                         f"+-{scale:g}, the scale of the metric. Score unparsed answers as worst case.")  # fmt: skip
    return np.clip(d, -scale, scale)


def hybrid_gate(
    lost: int, gained: int, n_seen: int, n_total: int, margin: float, alpha: float = 0.05, *, gate: str = "binary"
) -> GateResult:
    """Betting test at alpha/5 whenever asked, and the ordinary binary test at 4 alpha/5 once all items are seen.

    The union bound keeps each side's error at alpha. p_fail is the weighted Bonferroni p-value of the two.

    Raises:
        UsageError: counts or margin out of range.
    """
    check_seen(lost, gained, n_seen, n_total, margin)
    alpha_early, alpha_final = HYBRID_SHARE_ANYTIME * alpha, (1 - HYBRID_SHARE_ANYTIME) * alpha
    early = anytime_binary_gate(lost, gained, n_seen, margin, alpha_early, gate=gate)
    p_early = min(1.0, (early.p_fail or 0.0) * alpha / alpha_early)
    details = {**early.details, "n_total": n_total}
    verdict, bounds, p_fail = early.verdict, Bounds(early.lower, early.upper), p_early
    if n_seen == n_total:
        z, critical = float(fail_z(lost, gained, n_seen, margin)), normal_quantile(alpha_final)
        p_fail = min(p_early, 0.5 * math.erfc(z / math.sqrt(2)) * alpha / alpha_final)
        if verdict is Verdict.INCONCLUSIVE:
            passed = float(tango_z(lost, gained, n_seen, margin)) <= -critical
            verdict = three_way(z >= critical, passed)
            bounds = drop_bounds(lost, gained, n_seen, critical, critical)
    return GateResult(gate, verdict, n_seen, early.estimate, bounds.lower, bounds.upper, margin, p_fail, "hybrid",
                      details=details)  # fmt: skip


def benchmark_gate(
    differences: Sequence[float] | Floats,
    n_total: int,
    margin: float,
    scale: float = 1.0,
    alpha: float = 0.05,
    *,
    gate: str = "benchmark",
    unit: str = "points",
) -> GateResult:
    """Is the drop on exactly these `n_total` items beyond the margin, judged from a random part of them?

    Betting against the mean of the items not yet seen, which the hypothesis fixes: m_t = (N m - S_{t-1}) / (N - t + 1).
    The whole benchmark is a fact: PASS if its drop is at most the margin, whatever a part of it said before. A part, in
    random order, decides at the first item at which a wealth reaches 1/alpha, or at which the rest cannot change the
    answer any more.
    Source: Waudby-Smith & Ramdas, NeurIPS 2020, arXiv 2006.04347 (sampling without replacement).

    Args:
        differences: of the items seen, in the order seen (candidate minus base, higher is better, within +-`scale`).

    Raises:
        UsageError: more items than `n_total`, or a difference or margin out of range.
    """
    d = checked_differences(differences, margin, scale) / scale
    if len(d) > n_total:
        raise UsageError(f"{len(d)} items were seen, but the benchmark has only {n_total}.")
    pass_at = _first_crossing(d, n_total, margin / scale, alpha)
    fail_at = _first_crossing(-d, n_total, -margin / scale, alpha)
    estimate = -float(d.mean()) * scale
    verdict = Verdict.INCONCLUSIVE
    if len(d) == n_total:
        verdict = Verdict.PASS if estimate <= margin * (1 + 1e-12) else Verdict.FAIL
    elif min(pass_at, fail_at) <= len(d):
        verdict = Verdict.PASS if pass_at <= fail_at else Verdict.FAIL
    known = estimate if len(d) == n_total else None
    lower = margin if verdict is Verdict.FAIL and known is None else known
    upper = margin if verdict is Verdict.PASS and known is None else known
    decided = min(pass_at, fail_at, n_total) if verdict is not Verdict.INCONCLUSIVE else None
    return GateResult(gate, verdict, len(d), estimate, lower, upper, margin, None, "without-replacement", unit, scale,
                      details={"n_total": n_total, "decided_after": decided})  # fmt: skip


def _first_crossing(d: Floats, n_total: int, drop: float, alpha: float) -> int:
    """Items after which "the drop of all `n_total` items is at least `drop`" is refuted; beyond n_total if never."""
    seen = np.arange(len(d))
    unseen_mean = (-drop * n_total - np.concatenate([[0.0], np.cumsum(d)[:-1]])) / (n_total - seen)
    # The tolerance keeps rounding from refuting a hypothesis that is true with equality.
    impossible = unseen_mean < -1 - 1e-9
    room = np.maximum(1 + unseen_mean, 1e-9)
    stakes = np.where(impossible, 0.0, (d - unseen_mean) / room)
    wealth = np.logaddexp.reduce(np.cumsum(np.log1p(BETS[:, None] * stakes), axis=1)) - math.log(len(BETS))
    refuted = np.flatnonzero((wealth >= -math.log(alpha)) | impossible)
    return int(refuted[0]) + 1 if len(refuted) else n_total + 1
