"""Gate on how far the candidate's token distributions moved from the base's, judged against a recorded budget.

A tripwire, never a proxy for accuracy. Distributions are stored as the k most probable tokens with natural
log-probabilities; what lies outside is one "rest" cell, so divergences are lower bounds of the true ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.common import normal_quantile
from pytest_slmsec.gates.statistics.margins import RECORDED_FACTOR
from pytest_slmsec.gates.statistics.result import Bounds, GateResult, Verdict, decide

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

MINIMUM_ITEMS = 20
KL_BUDGET_BY_BITS = {8: 0.002, 5: 0.01, 4: 0.05, 3: 0.20}
"""Default budgets: mean KL per token, nats, by the width of the weights."""

_RESAMPLES = 4000
_SEED = 20240717
_TAIL_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class TopK:
    """The most probable tokens at each of T positions.

    Attributes:
        ids: token ids, shape (T, k), no id twice in a row.
        logprobs: their natural log-probabilities, same shape.
        tail: probability of all other tokens, shape (T,); None computes it as 1 - sum, which loses digits at half
            precision.
    """

    ids: Ids
    logprobs: Floats
    tail: Floats | None = None

    def __post_init__(self) -> None:
        """Check shapes, finiteness and repeated ids.

        Raises:
            UsageError: naming what does not fit.
        """
        if self.ids.ndim != 2 or self.ids.shape != self.logprobs.shape or 0 in self.ids.shape:
            raise UsageError(f"Top tokens need ids and log-probabilities of one shape (positions, k), got "
                             f"{self.ids.shape} and {self.logprobs.shape}.")  # fmt: skip
        if np.isnan(self.logprobs).any() or (self.logprobs > 1e-3).any():
            raise UsageError("Log-probabilities of top tokens must be numbers of at most 0; one is not.")
        if self.tail is not None and self.tail.shape != self.ids.shape[:1]:
            raise UsageError(f"Tail masses must have the shape {self.ids.shape[:1]}, got {self.tail.shape}.")
        ordered = np.sort(self.ids, axis=1)
        if (ordered[:, 1:] == ordered[:, :-1]).any():
            raise UsageError("A position lists the same token id twice among its top tokens.")

    def rest(self) -> Floats:
        """Probability outside the listed tokens, shape (T,)."""
        if self.tail is not None:
            return np.asarray(self.tail, dtype=np.float64)
        listed: Floats = np.exp(np.asarray(self.logprobs, dtype=np.float64)).sum(axis=1)
        return np.asarray(np.maximum(1 - listed, 0.0), dtype=np.float64)


def _cells(one: TopK, other: TopK) -> Floats:
    """Probabilities of `one` on {tokens listed by both, rest}, shape (T, k + 1); tokens not shared are 0, then rest."""
    shared = (one.ids[:, :, None] == other.ids[:, None, :]).any(axis=2)
    p = np.exp(np.asarray(one.logprobs, dtype=np.float64))
    rest = one.rest() + np.where(shared, 0.0, p).sum(axis=1)
    # Ordered by id, so that the same token stands in the same column for both models.
    order = np.argsort(np.where(shared, one.ids, np.iinfo(np.int64).max), axis=1, kind="stable")
    cells = np.take_along_axis(np.where(shared, p, 0.0), order, axis=1)
    cells = np.concatenate([cells, np.maximum(rest, _TAIL_FLOOR)[:, None]], axis=1)
    return np.asarray(cells / cells.sum(axis=1, keepdims=True), dtype=np.float64)


def _aligned(base: TopK, candidate: TopK) -> tuple[Floats, Floats]:
    if len(base.ids) != len(candidate.ids):
        raise UsageError(f"The base has {len(base.ids)} token positions and the candidate {len(candidate.ids)}; both "
                         "must be fed the same text.")  # fmt: skip
    p, q = _cells(base, candidate), _cells(candidate, base)
    width = min(p.shape[1], q.shape[1]) - 1
    return (np.concatenate([p[:, :width], p[:, -1:]], axis=1), np.concatenate([q[:, :width], q[:, -1:]], axis=1))


def coarse_kl(base: TopK, candidate: TopK) -> Floats:
    """KL(base || candidate) in nats per position, shape (T,), on the partition {tokens listed by both, rest}.

    A lower bound of the KL over the whole vocabulary, by the data processing inequality (Cover & Thomas, Elements of
    Information Theory, section 2.8). Equal to it where both list the whole vocabulary.

    Raises:
        UsageError: the two have different numbers of positions.
    """
    p, q = _aligned(base, candidate)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * (np.log(p) - np.log(np.maximum(q, 1e-300))), 0.0)
    return np.asarray(np.maximum(terms.sum(axis=1), 0.0), dtype=np.float64)


def coarse_tv(base: TopK, candidate: TopK) -> Floats:
    """Total variation distance per position, in [0, 1], on the same partition: a lower bound of the true one."""
    p, q = _aligned(base, candidate)
    return np.asarray(0.5 * np.abs(p - q).sum(axis=1), dtype=np.float64)


def same_top(base: TopK, candidate: TopK) -> NDArray[np.bool_]:
    """Whether both models' most probable token is the same, shape (T,); the rate is its mean."""
    rows = np.arange(len(base.ids))
    return np.asarray(
        base.ids[rows, base.logprobs.argmax(axis=1)] == candidate.ids[rows, candidate.logprobs.argmax(axis=1)]
    )


def bootstrap_t(values: Floats, alpha: float, budget: float) -> tuple[Bounds, float]:
    """One-sided bootstrap-t bounds of a mean, each at `alpha`, and the p-value of "the mean is above `budget`".

    Upper = m - t*_alpha se, lower = m - t*_{1-alpha} se, with t* the studentised bootstrap means (fixed seed, 4000).
    Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), section 12.5.
    """
    x, n = np.sort(values), len(values)
    mean, se = float(x.mean()), float(x.std(ddof=1)) / n**0.5
    if se <= 1e-12 * abs(mean):
        return Bounds(mean, mean), 1 / (_RESAMPLES + 1) if mean > budget else 1.0
    draws = x[np.random.default_rng(_SEED).integers(0, n, size=(_RESAMPLES, n))]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (draws.mean(axis=1) - mean) / (draws.std(axis=1, ddof=1) / n**0.5)
    t = np.sort(np.where(np.isnan(t), 0.0, t))
    # Order statistics, not interpolation: a resample of identical values has t = +-inf.
    cut = int(alpha * (_RESAMPLES + 1)) - 1
    lower, upper = mean - float(t[-1 - cut]) * se, mean - float(t[cut]) * se
    p = (1 + int((t >= (mean - budget) / se).sum())) / (_RESAMPLES + 1)
    return Bounds(lower if np.isfinite(lower) else None, upper if np.isfinite(upper) else None), p


def recorded_budget(recorded_kl: float, factor: float = RECORDED_FACTOR) -> float:
    """The budget that a recorded build sets: `factor` times its mean KL.

    Raises:
        UsageError: a recorded KL or a factor that is not a positive number.
    """
    if not (recorded_kl > 0 and factor > 0 and np.isfinite(recorded_kl * factor)):
        raise UsageError(f"A recorded KL of {recorded_kl} times {factor} gives no budget; both must be positive.")
    return recorded_kl * factor


def fidelity_gate(
    item_kl: Sequence[float] | Floats,
    budget: float,
    alpha: float = 0.05,
    *,
    gate: str = "fidelity",
    same_partition: bool = True,
) -> GateResult:
    """Is the mean KL per token, averaged over items, within `budget`?

    Args:
        item_kl: mean KL per token of each item, nats (tokens of one item are not independent).
        budget: nats per token. alpha: one-sided, on each side.
        same_partition: the budget was recorded with the same tokens kept, or the KL is over the whole vocabulary. If
            not, the KL is only a lower bound: FAIL stays sound, and what would be PASS is INCONCLUSIVE.

    Raises:
        UsageError: no items, a KL that is negative or not finite, or a budget that is not positive.
    """
    normal_quantile(alpha)
    values = np.asarray(item_kl, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not (np.isfinite(values) & (values >= 0)).all():
        raise UsageError("The fidelity gate needs one KL per item, each a finite number of at least 0.")
    if not (budget > 0 and np.isfinite(budget)):
        raise UsageError(f"The KL budget must be a positive number of nats per token, got {budget}.")
    n, mean, bounds, p_fail = len(values), float(values.mean()), Bounds(None, None), 1.0
    if n >= MINIMUM_ITEMS:
        bounds, p_fail = bootstrap_t(values, alpha, budget)
    verdict, reasons = decide(bounds, budget), list[str]()
    if n < MINIMUM_ITEMS:
        reasons.append(f"{n} items are too few: the fidelity gate needs {MINIMUM_ITEMS}.")
    if verdict is Verdict.PASS and not same_partition:
        verdict = Verdict.INCONCLUSIVE
        reasons.append("The KL is a lower bound (only the top tokens were kept) and the budget was not recorded the "
                       "same way, so it can refute but not prove fidelity.")  # fmt: skip
    details = {"median": float(np.median(values)), "p99": float(np.quantile(values, 0.99))}
    return GateResult(gate, verdict, n, mean, bounds.lower, bounds.upper, budget, p_fail, "bootstrap-t", "nats/token",
                      reasons=tuple(reasons), details=details)  # fmt: skip
