"""Gate on speed: base and candidate timed in turns on the same machine, bounds by Hodges and Lehmann.

A stored number of another session is no base: on a shared machine it fails unchanged models in 30 to 40 % of cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.common import normal_quantile
from pytest_slmsec.gates.statistics.result import TIME, Bounds, GateResult, Verdict, decide

Floats = NDArray[np.float64]
Side = Literal["A", "B"]

MINIMUM_ROUNDS = 10
WARM_UP_RUNS = 3


def abba_order(rounds: int) -> tuple[tuple[Side, Side, Side, Side], ...]:
    """Which side to time when: A the base, B the candidate; rounds alternate between ABBA and BAAB.

    A drift that is linear within a round falls on both sides alike, and no side always comes first.

    Raises:
        UsageError: fewer than the 10 rounds that the gate needs.
    """
    if rounds < MINIMUM_ROUNDS:
        raise UsageError(f"The throughput gate needs {MINIMUM_ROUNDS} rounds or more, got {rounds}.")
    return tuple(("A", "B", "B", "A") if j % 2 == 0 else ("B", "A", "A", "B") for j in range(rounds))


class RoundRatios(NamedTuple):
    """Log-ratios of the rounds, shape (R,) each.

    candidate_over_base: ln(time of B) - ln(time of A). base_over_base: ln of the second over the first base run.
    """

    candidate_over_base: Floats
    base_over_base: Floats


def round_ratios(seconds: Sequence[Sequence[float]]) -> RoundRatios:
    """Log-ratios from the times in the order of `abba_order`, shape (R, 4), for equal work per run.

    Raises:
        UsageError: another shape, or a time that is not a positive number.
    """
    times = np.asarray(seconds, dtype=np.float64)
    order = np.array(abba_order(len(times)))
    if times.shape != order.shape or not (np.isfinite(times) & (times > 0)).all():
        raise UsageError(f"Times must be positive seconds, four to a round; got an array of shape {times.shape}.")
    base = times[order == "A"].reshape(-1, 2)
    candidate = times[order == "B"].reshape(-1, 2)
    return RoundRatios(np.log(candidate.sum(axis=1) / base.sum(axis=1)), np.log(base[:, 1] / base[:, 0]))


def walsh_averages(values: Sequence[float] | Floats) -> Floats:
    """All means of two values, each with itself too, sorted; R (R + 1) / 2 of them."""
    x = np.asarray(values, dtype=np.float64)
    i, j = np.triu_indices(len(x))
    return np.sort((x[i] + x[j]) / 2)


@lru_cache(maxsize=64)
def _signed_rank_cdf(rounds: int) -> Floats:
    """P(W <= w) of Wilcoxon's signed-rank statistic under symmetry, w = 0 .. R (R + 1) / 2, exactly."""
    mass: Floats = np.zeros(rounds * (rounds + 1) // 2 + 1)
    mass[0] = 1.0
    for rank in range(1, rounds + 1):
        shifted = np.zeros_like(mass)
        shifted[rank:] = mass[:-rank]
        mass = (mass + shifted) / 2
    return np.cumsum(mass)


def hodges_lehmann_bounds(values: Sequence[float] | Floats, alpha: float = 0.05) -> Bounds:
    """One-sided bounds of the centre of a symmetric distribution, each at `alpha`; None with too few values.

    The k-th smallest and largest Walsh average, k from the exact null distribution of Wilcoxon's signed-rank statistic
    (its normal approximation k = R(R+1)/4 - z sqrt(R(R+1)(2R+1)/24) - 1/2 differs by at most one from 10 values on).
    Source: Hollander, Wolfe, Chicken, Nonparametric Statistical Methods (2014), section 3.3, after Tukey (1949).
    """
    averages = walsh_averages(values)
    k = int(np.searchsorted(_signed_rank_cdf(len(values)), alpha, side="right")) - 1
    return Bounds(float(averages[k]), float(averages[-1 - k])) if k >= 0 else Bounds(None, None)


def hodges_lehmann(values: Sequence[float] | Floats) -> float:
    """The Hodges-Lehmann estimate of the centre: the median of the Walsh averages."""
    return float(np.median(walsh_averages(values)))


def signed_rank_p(values: Sequence[float] | Floats, centre: float) -> float:
    """p-value of "the centre is beyond `centre`": P(W <= number of Walsh averages at or below it), exact."""
    at_or_below = int((walsh_averages(values) <= centre).sum())
    return float(_signed_rank_cdf(len(values))[at_or_below])


def _slowdown(log_ratio: float | None) -> float | None:
    return None if log_ratio is None else math.expm1(log_ratio)


def throughput_gate(
    log_ratios: Sequence[float] | Floats,
    max_slowdown: float = 0.05,
    alpha: float = 0.05,
    *,
    base_log_ratios: Sequence[float] | Floats | None = None,
    gate: str = "throughput",
) -> GateResult:
    """Is the candidate slower than the base by more than `max_slowdown` (a share: 0.05 is 5 %)?

    Args:
        log_ratios: ln(candidate time) - ln(base time) for equal work, one per round.
        base_log_ratios: base against base from the same session. If half the width of their bounds exceeds
            ln(1 + max_slowdown), the machine is too noisy and the verdict INCONCLUSIVE.

    Returns:
        Estimate and bounds as slowdown shares (-0.65: it takes 65 % less time).

    Raises:
        UsageError: fewer than 10 rounds, a ratio that is not finite, or a margin that is not positive.
    """
    normal_quantile(alpha)
    if not (max_slowdown > 0 and math.isfinite(max_slowdown)):
        raise UsageError(f"The tolerated slowdown must be a positive share (0.05 is 5 %), got {max_slowdown}.")
    ratios, limit = _checked(log_ratios), math.log1p(max_slowdown)
    bounds, noise = hodges_lehmann_bounds(ratios, alpha), None
    verdict, reasons = decide(bounds, limit), list[str]()
    if base_log_ratios is not None:
        low, high = hodges_lehmann_bounds(_checked(base_log_ratios), alpha)
        noise = (high - low) / 2 if low is not None and high is not None else math.inf
        if noise > limit:
            verdict = Verdict.INCONCLUSIVE
            reasons.append(f"This machine is too noisy: the base against itself varies by +-{100 * noise:.1f} %, more "
                           f"than the {100 * max_slowdown:g} % to be judged.")  # fmt: skip
    return GateResult(gate, verdict, len(ratios), _slowdown(hodges_lehmann(ratios)), _slowdown(bounds.lower),
                      _slowdown(bounds.upper), max_slowdown, signed_rank_p(ratios, limit), "hodges-lehmann", TIME,
                      reasons=tuple(reasons), details={"noise_half_width": noise})  # fmt: skip


def advisory_throughput(
    base_tokens_per_s: float, candidate_tokens_per_s: float, max_slowdown: float = 0.05, *, gate: str = "throughput"
) -> GateResult:
    """The slowdown against a stored number: always INCONCLUSIVE, for it was not measured in turns with the candidate.

    Raises:
        UsageError: a speed that is not a positive number.
    """
    if not (base_tokens_per_s > 0 and candidate_tokens_per_s > 0):
        raise UsageError(f"Speeds must be positive tokens per second, got {base_tokens_per_s} (base) and "
                         f"{candidate_tokens_per_s} (candidate).")  # fmt: skip
    slowdown = base_tokens_per_s / candidate_tokens_per_s - 1
    reason = "Advisory only: a stored speed was not measured in turns with the candidate. Measure both in one session."
    return GateResult(gate, Verdict.INCONCLUSIVE, 1, slowdown, None, None, max_slowdown, None, "stored", TIME,
                      reasons=(reason,))  # fmt: skip


def _checked(log_ratios: Sequence[float] | Floats) -> Floats:
    ratios = np.asarray(log_ratios, dtype=np.float64)
    if ratios.ndim != 1 or len(ratios) < MINIMUM_ROUNDS or not np.isfinite(ratios).all():
        raise UsageError(f"The throughput gate needs {MINIMUM_ROUNDS} rounds or more of finite log-ratios, got an "
                         f"array of shape {ratios.shape}.")  # fmt: skip
    return ratios
