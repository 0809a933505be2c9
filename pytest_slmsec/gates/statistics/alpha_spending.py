"""Looks at scheduled numbers of items: how much error each may spend, and the boundaries that follow.

A look compares Z with its boundary instead of the usual 1.64. Bounds and p-values here are *repeated* ones: they hold
at every look at once, so they stay valid whatever made a run stop there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.common import check_margin, normal_quantile, undecided
from pytest_slmsec.gates.statistics.paired_binary import drop_bounds, fail_z, floor_items, tango_z
from pytest_slmsec.gates.statistics.result import GateResult, Verdict, three_way
from pytest_slmsec.gates.statistics.sequential_design import LOOKS, TWO_STAGE, obf_looks

Floats = NDArray[np.float64]

OBF_BOUNDARIES = {0.05: (4.2292, 2.8880, 2.2982, 1.9619, 1.7397), 0.025: (4.8769, 3.3569, 2.6803, 2.2898, 2.0310)}
"""Upper boundaries of Z at 20, 40, 60, 80, 100 % of the items, by one-sided error rate; see `boundaries`."""

FINE, COARSE = 1201, 301
SMALLEST_P, LARGEST_ALPHA, RATES = 1e-12, 0.49, 40


Spending = Callable[[float, float], float]
"""Error spent when a share of the items is seen: of (share, alpha); 0 at 0, alpha at 1."""


def obf_spent(share: float, alpha: float) -> float:
    """Error spent when a `share` of the items is seen: 2 (1 - Phi(z_{alpha/2} / sqrt(share))).

    Source: Lan & DeMets, Biometrika 70:659 (1983), the spending function that resembles O'Brien-Fleming.
    """
    return math.erfc(normal_quantile(alpha / 2) / math.sqrt(2 * share)) if share > 0 else 0.0


def pocock_spent(share: float, alpha: float) -> float:
    """Error spent when a `share` of the items is seen: alpha ln(1 + (e - 1) share).

    Source: Lan & DeMets (1983) as well, the spending function that resembles Pocock. It gives an early look a real
    chance, for a sample that is meant to decide and is extended only where it does not.
    """
    return alpha * math.log1p((math.e - 1) * share)


class _Walk:
    """Density of the score process (Brownian motion) at a look, among paths that have crossed no boundary yet.

    Source: the recursion of Armitage, McPherson, Rowe, JRSS A 132:235 (1969), by the trapezoidal rule.
    """

    LOWEST = -8.0

    def __init__(self, points: int) -> None:
        self.points, self.share = points, 0.0
        self.x: Floats = np.zeros(1)
        self.mass: Floats = np.ones(1)

    def crossing(self, level: float, share: float) -> float:
        """P(no boundary crossed so far, and the value of the process at `share` at least `level`)."""
        from scipy.special import ndtr

        return float(self.mass @ ndtr((self.x - level) / math.sqrt(share - self.share)))

    def survive(self, level: float, share: float) -> None:
        """Go on to `share` and keep the paths that stay below `level`."""
        sd = math.sqrt(share - self.share)
        grid: Floats = np.asarray(np.linspace(self.LOWEST, level, self.points), dtype=np.float64)
        kernel = np.exp(-0.5 * ((grid[:, None] - self.x) / sd) ** 2)
        density = kernel @ self.mass / (sd * math.sqrt(2 * math.pi))
        self.share, self.x, self.mass = share, grid, density * (grid[1] - grid[0])
        self.mass[[0, -1]] /= 2


@lru_cache(maxsize=64)
def boundaries(
    alpha: float, shares: tuple[float, ...], spending: Spending = obf_spent, points: int = FINE
) -> tuple[float, ...]:
    """Boundaries of Z at looks after `shares` of the items (ascending, the last one 1), by numeric recursion.

    A boundary on the other side (PASS) only takes paths away, so each side keeps its own error rate. `points`: of the
    grid; with the fine one the boundaries are right to 1e-5, with the coarse one to 1e-3.
    """
    from scipy.optimize import brentq

    walk, found, spent = _Walk(points), list[float](), 0.0
    for share in shares:
        spend = spending(share, alpha) - spent
        spent += spend
        highest = 9.0 * math.sqrt(share)
        if walk.crossing(highest, share) >= spend:  # next to nothing to spend yet: no result could be that clear
            level = highest
        else:
            level = float(brentq(lambda x, s=spend, t=share: walk.crossing(x, t) - s, -1.0, highest, xtol=1e-10))
        found.append(level / math.sqrt(share))
        walk.survive(level, share)
    return tuple(found)


def boundary(look: int, shares: tuple[float, ...], alpha: float, spending: Spending = obf_spent) -> float:
    """The boundary of Z at one look, counted from 1."""
    if spending is obf_spent and alpha in OBF_BOUNDARIES and shares == _even(LOOKS):
        return OBF_BOUNDARIES[alpha][look - 1]
    return boundaries(alpha, shares[:look], spending)[-1]


def _even(looks: int) -> tuple[float, ...]:
    return tuple(k / looks for k in range(1, looks + 1))


@lru_cache(maxsize=16)
def _levels(shares: tuple[float, ...], spending: Spending) -> tuple[Floats, Floats]:
    """Logarithms of error rates, falling, and the boundaries of every look at each of them, shape (rates, looks)."""
    rates = np.geomspace(LARGEST_ALPHA, SMALLEST_P, RATES)
    table = [boundaries(float(rate), shares, spending, COARSE) for rate in rates]
    return np.asarray(np.log(rates), dtype=np.float64), np.asarray(table, dtype=np.float64)


def repeated_p(look: int, z: float, shares: tuple[float, ...], spending: Spending = obf_spent) -> float:
    """p-value of "the drop is beyond the margin" at one of several looks: the error rate whose boundary `z` just meets.

    P(at any look p <= a) <= a when the drop is the margin, so it holds for every reason to stop, unlike the stagewise
    p-value, which needs that this very test stopped the run. Interpolated to about 1 %; no smaller than 1e-12, and 1
    where it would exceed 0.49.
    Source: Jennison & Turnbull, JRSS B 51:305 (1989), repeated confidence intervals and p-values.
    """
    from scipy.interpolate import pchip_interpolate

    rates, table = _levels(shares, spending)
    levels = table[:, look - 1]
    if z <= levels[0]:
        return 1.0
    keep = np.concatenate([[True], np.diff(np.maximum.accumulate(levels)) > 1e-6])
    levels, rates = levels[keep], rates[keep]
    return float(np.exp(rates[-1] if z >= levels[-1] else pchip_interpolate(levels, rates, z)))


METHODS: Mapping[str, Spending] = {"obf": obf_spent, TWO_STAGE: pocock_spent}
"""Group-sequential methods: five even looks, and a sample that is extended once."""


def group_sequential_gate(
    lost: float, gained: float, n_seen: int, looks: Sequence[int], margin: float, alpha: float = 0.05, *,
    method: str = "obf", gate: str = "binary",
) -> GateResult:  # fmt: skip
    """The binary gate at one of the scheduled looks; bounds and p-value are repeated ones (valid at every look).

    Args:
        looks: numbers of items after which to look, ascending; the last one is all items. method: of `METHODS`.

    Returns:
        PASS or FAIL: decided. INCONCLUSIVE: go on to the next look, or, at the last one, undecided.

    Raises:
        UsageError: `n_seen` is not one of `looks`, or counts or margin are out of range.
    """
    check_seen(lost, gained, n_seen, looks[-1], margin)
    if n_seen not in looks:
        raise UsageError(f"The looks at {looks[-1]} items come after {tuple(looks)} items, not after {n_seen}; "
                         "a look at any other time would raise the error rate.")  # fmt: skip
    look, spending = looks.index(n_seen) + 1, METHODS[method]
    shares = _even(LOOKS) if tuple(looks) == obf_looks(looks[-1]) else tuple(n / looks[-1] for n in looks)
    critical = boundary(look, shares, alpha, spending)
    z = float(fail_z(lost, gained, n_seen, margin))
    passed = float(tango_z(lost, gained, n_seen, margin)) <= -critical
    verdict = three_way(z >= critical, passed)
    p = repeated_p(look, z, shares, spending)
    p_fail = min(p, alpha) if verdict is Verdict.FAIL else max(p, alpha)
    bounds, drop = drop_bounds(lost, gained, n_seen, critical, critical), (lost - gained) / n_seen
    details = {"lost": lost, "gained": gained, "n_total": looks[-1], "look": look, "boundary": critical, "z": z}
    if n_seen == looks[-1]:
        variance = (lost + gained) / n_seen - drop**2
        details |= undecided(variance, n_seen, drop, margin, floor_items(margin, alpha), alpha)
    return GateResult(gate, verdict, n_seen, drop, bounds.lower, bounds.upper, margin, p_fail, method,
                      details=details)  # fmt: skip


def check_seen(lost: float, gained: float, n_seen: int, n_total: int, margin: float) -> None:
    """Refuse counts that cannot be.

    Raises:
        UsageError: as said, or a margin out of range.
    """
    check_margin(margin)
    if not (lost >= 0 and gained >= 0 and 1 <= n_seen <= n_total and lost + gained <= n_seen):
        raise UsageError(f"Impossible counts: {lost} lost, {gained} gained of {n_seen} items seen, {n_total} in all.")
