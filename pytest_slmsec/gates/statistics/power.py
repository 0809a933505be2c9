"""What a benchmark of n items can show at all, known before anything runs."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.statistics.common import check_margin, items_to_decide, normal_quantile
from pytest_slmsec.gates.statistics.paired_binary import fail_z, floor_items, smallest_provable_margin, tango_z

TYPICAL_CHURN = 0.06
"""Share of items whose right/wrong flips between a model and its 4-bit form, in equal parts lost and gained."""

TYPICAL_SPREAD = 0.11
"""Standard deviation of the differences of a real-valued score between a model and its 4-bit form, as a share of the
scale: recorded were 1.14 of 10 CVSS points, and 0.06 to 0.16 for ROUGE-L."""

TYPICAL_P_CORRECT_SPREAD = 0.05
"""The same of the probability of the right option."""

MINIMUM_REAL_ITEMS = 150

_NEGLIGIBLE_MASS = 1e-9


class Rates(NamedTuple):
    """Probability of each verdict; adds up to 1 within 1e-8."""

    passed: float
    failed: float
    inconclusive: float


def _support(n: int, p: float) -> NDArray[np.float64]:
    """The counts a Binomial(n, p) takes with all but a negligible mass."""
    from scipy.stats import binom

    return np.arange(binom.ppf(_NEGLIGIBLE_MASS, n, p), binom.isf(_NEGLIGIBLE_MASS, n, p) + 1)


def binary_rates(n: int, p_lost: float, p_gained: float, margin: float, alpha: float = 0.05) -> Rates:
    """How often `binary_gate` gives each verdict, by enumerating every outcome (b, c) of the trinomial.

    Args:
        p_lost, p_gained: true probabilities, so that the true drop is their difference.

    Raises:
        UsageError: probabilities that are negative or add up to more than 1, or a margin out of range.
    """
    from scipy.special import gammaln, xlogy

    check_margin(margin)
    rest = 1 - p_lost - p_gained
    if min(p_lost, p_gained, n - 1) < 0 or rest < -1e-12:
        raise UsageError(f"No such items: n = {n}, P(lost) = {p_lost}, P(gained) = {p_gained}.")
    b, c = np.meshgrid(_support(n, p_lost), _support(n, p_gained), indexing="ij")
    b, c = b[b + c <= n], c[b + c <= n]
    a = n - b - c
    log_mass = gammaln(n + 1) - gammaln(a + 1) - gammaln(b + 1) - gammaln(c + 1)
    mass = np.exp(log_mass + xlogy(a, max(rest, 0.0)) + xlogy(b, p_lost) + xlogy(c, p_gained))
    z = normal_quantile(alpha)
    passed = float(mass[tango_z(b, c, n, margin) <= -z].sum())
    failed = float(mass[fail_z(b, c, n, margin) >= z].sum())
    return Rates(passed, failed, float(mass.sum()) - passed - failed)


def rates_at(n: int, drop: float, churn: float, margin: float, alpha: float = 0.05) -> Rates:
    """`binary_rates` for a true `drop` on top of a symmetric `churn` (half lost, half gained)."""
    return binary_rates(n, churn / 2 + max(drop, 0.0), churn / 2 + max(-drop, 0.0), margin, alpha)


def items_to_pass(margin: float, churn: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items at which an unchanged model passes with probability `power`; normal approximation, at least the floor."""
    return items_to_decide(churn, 0.0, margin, floor_items(margin, alpha), alpha, power) or 1


def detectable_drop(n: int, margin: float, churn: float, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest true drop that FAILs with probability `power` (normal approximation); None if no drop does.

    Solves drop - margin = (z_alpha + z_beta) sqrt((churn + drop - drop^2) / n).
    """
    from scipy.optimize import brentq

    critical = normal_quantile(alpha)
    if float(fail_z(n, 0, n, margin)) < critical:
        return None
    z_sum = critical + NormalDist().inv_cdf(power)

    def excess(drop: float) -> float:
        return drop - margin - z_sum * math.sqrt(max(churn + drop - drop * drop, 0.0) / n)

    return float(brentq(excess, margin, 1 - churn)) if excess(1 - churn) > 0 else None


def real_floor(margin: float, scale: float, alpha: float = 0.05) -> int:
    """Fewest items of a real-valued gate: max(150, ln(1/alpha) / -ln(1 - margin/scale)).

    The second term is the rule of three (Hanley & Lippman-Hand, JAMA 249:1743, 1983): a total loss on a share
    margin/scale of the items would stay unseen in fewer items with probability above alpha.
    """
    check_margin(margin, scale)
    return max(MINIMUM_REAL_ITEMS, math.ceil(math.log(1 / alpha) / -math.log1p(-margin / scale)))


def real_items_to_pass(sd: float, margin: float, scale: float = 1.0, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items at which an unchanged model passes a real-valued gate, given the standard deviation of the differences.

    Bounds stand at alpha/2 (see `gates.real`); at least `real_floor`.
    """
    return items_to_decide(sd * sd, 0.0, margin, real_floor(margin, scale, alpha), alpha / 2, power) or 1


@dataclass(frozen=True, slots=True)
class Feasibility:
    """What a binary gate on a benchmark of `n` items can show.

    Attributes:
        benchmark, n, margin, churn: as asked (shares).
        smallest_margin: provable if not one answer changes.
        can_pass: an unchanged model can pass at `margin`.
        power_pass: probability that a model with this churn and no drop passes (exact).
        fails_from: true drop that FAILs with the probability `power`, or None.
        items_to_pass: items at which an unchanged model passes with the probability `power`.
    """

    benchmark: str
    n: int
    margin: float
    churn: float
    smallest_margin: float
    can_pass: bool
    power_pass: float
    fails_from: float | None
    items_to_pass: int
    power: float = 0.8

    @property
    def sentence(self) -> str:
        """The finding in plain words, one to three sentences."""
        fails = "no drop would FAIL it reliably"
        if self.fails_from is not None:
            fails = f"it can FAIL (from a drop of about {100 * self.fails_from:.0f} points)"
        has = f"{self.benchmark} has {counted(self.n, 'item')}"
        if not self.can_pass:
            return (
                f'{has}; even with no changed answer it can only prove "at most '
                f'{100 * self.smallest_margin:.1f} points worse". {fails[0].upper()}{fails[1:]} but not PASS at '
                f"{100 * self.margin:g} points unless the candidate is better. Role: advisory."
            )
        return (
            f"{has}: an unchanged model passes at {100 * self.margin:g} points in about "
            f"{100 * self.power_pass:.0f} of 100 runs, and {fails}. For {100 * self.power:.0f} of 100 it needs about "
            f"{self.items_to_pass:,} items, if {100 * self.churn:.0f} % of the answers change without any drop."
        )

    def to_json(self) -> dict[str, Any]:
        """The finding as plain data."""
        return {**asdict(self), "sentence": self.sentence}


def feasibility(
    benchmark: str, n: int, margin: float, churn: float = TYPICAL_CHURN, alpha: float = 0.05, power: float = 0.8
) -> Feasibility:
    """What `n` items can show at `margin`, if a share `churn` of the answers flips without any drop.

    Raises:
        UsageError: no items, or a margin or churn outside its range.
    """
    check_margin(margin)
    if n < 1:
        raise UsageError(f"{benchmark} has no items: there is nothing to plan.")
    if not 0 <= churn < 1:
        raise UsageError(f"Churn is the share of flipped answers and must lie in [0, 1), got {churn}.")
    smallest = smallest_provable_margin(n, alpha)
    return Feasibility(benchmark, n, margin, churn, smallest, n >= floor_items(margin, alpha),
                       rates_at(n, 0.0, churn, margin, alpha).passed, detectable_drop(n, margin, churn, alpha, power),
                       items_to_pass(margin, churn, alpha, power), power)  # fmt: skip
