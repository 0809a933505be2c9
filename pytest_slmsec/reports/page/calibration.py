"""How sure a model was: p(correct), and how often it is right at each confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.reports.page.records import real
from pytest_slmsec.scoring.metrics import P_CORRECT, wilson_interval

BINS, P_BINS = 10, 20
TOLERANCE = 1e-6


class Bin(NamedTuple):
    """Items of one range of confidence: how many, their mean confidence, the share that is right with its interval."""

    n: int
    confidence: float
    right: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """What is known of one model over all benchmarks that it answered by choice.

    Attributes:
        benchmarks: their labels. probabilities: p(correct) of each item. bins: of its confidence in what it chose.
        error: expected calibration error, a share of 1; None where no confidence is known.
    """

    model: str
    benchmarks: tuple[str, ...]
    probabilities: tuple[float, ...]
    bins: tuple[Bin, ...]
    error: float | None

    def counts(self) -> list[int]:
        """Items in each of `P_BINS` ranges of p(correct)."""
        found = [0] * P_BINS
        for value in self.probabilities:
            found[min(int(value * P_BINS), P_BINS - 1)] += 1
        return found


def calibration(model: str, runs: Sequence[BenchmarkRun]) -> Calibration | None:
    """What the runs of one model know; None where no benchmark was answered by choice.

    The expected calibration error is the mean distance of confidence and share of right answers over ten ranges of
    confidence, weighted by their items. Source: Guo et al., ICML 2017 (arXiv 1706.04599), equation 3.
    """
    known = [run for run in runs if run.n and all(P_CORRECT in parts for parts in run.columns["parts"])]
    if not known:
        return None
    probabilities = [float(parts[P_CORRECT]) for run in known for parts in run.columns["parts"]]
    judged = [pair for run in known for pair in confidences(run)]
    bins = _bins(judged)
    error = sum(one.n * abs(one.right - one.confidence) for one in bins) / len(judged) if judged else None
    return Calibration(model, tuple(run.benchmark for run in known), tuple(probabilities), bins, error)


def confidences(run: BenchmarkRun) -> list[tuple[float, bool]]:
    """The probability of the option that was chosen, and whether it is right, for each item.

    Empty where the scorer chose by other numbers than the recorded log-probabilities (divided by the length of the
    option): then p(correct) of a right answer is not the largest probability.
    """
    found = []
    for logprobs, parts, right in zip(*(run.columns[key] for key in ("logprobs", "parts", "correct")), strict=True):
        probabilities = shares(logprobs)
        if probabilities is None:
            continue
        confidence = max(probabilities)
        if right and abs(confidence - float(parts[P_CORRECT])) > TOLERANCE:
            return []
        found.append((confidence, bool(right)))
    return found


def shares(logprobs: Sequence[Any] | None) -> list[float] | None:
    """The probabilities of options, made to sum to 1, from their log-probabilities; None where one is no number."""
    if not isinstance(logprobs, Sequence) or not logprobs or any(real(value) is None for value in logprobs):
        return None
    top = max(logprobs)
    weights = [math.exp(value - top) for value in logprobs]
    return [weight / sum(weights) for weight in weights]


def _bins(judged: Sequence[tuple[float, bool]]) -> tuple[Bin, ...]:
    parts: dict[int, list[tuple[float, bool]]] = {}
    for confidence, right in judged:
        parts.setdefault(min(int(confidence * BINS), BINS - 1), []).append((confidence, right))
    found = []
    for _, those in sorted(parts.items()):
        n, n_right = len(those), sum(right for _, right in those)
        mean = fmean(confidence for confidence, _ in those)
        found.append(Bin(n, mean, n_right / n, *wilson_interval(n_right, n)))
    return tuple(found)
