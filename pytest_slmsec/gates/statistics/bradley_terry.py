"""Strengths of models from verdicts on pairs of answers: Bradley-Terry, and Elo for the numbers of published tables.

Bradley-Terry (Bradley and Terry 1952): model i is preferred to j with probability 1 / (1 + 10^((r_j - r_i) / 400)). A
tie counts as half a win of each. The ratings are the maximum of the likelihood, found by the iteration of Hunter (2004,
Annals of Statistics 32:384, MM algorithm), shifted to a mean of 1000; the order of the verdicts has no influence.

Elo follows the order (K = 32, start at 1000, scale 400), as FastChat's notebook of 2023 and tables made with it do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pytest_slmsec.core.errors import DataError

FIRST, SECOND, TIE = "model_a", "model_b", "tie"
POINTS = {FIRST: 1.0, SECOND: 0.0, TIE: 0.5}
"""What a verdict is worth for the model in the first place."""
SCALE, START, STEP = 400.0, 1000.0, 32.0
RESAMPLES, SEED = 500, 0
TOLERANCE, LONGEST = 1e-10, 100_000


class Verdict(NamedTuple):
    """One comparison: the model in the first place, the one in the second, points of the first (1, 0.5, 0), and the
    item that both had answered (a cluster of the bootstrap)."""

    first: str
    second: str
    points: float
    item: str


class Rating(NamedTuple):
    """A model's rating, and its interval, which is None where some resample has no finite estimate."""

    value: float
    low: float | None = None
    high: float | None = None


def wins_of(verdicts: Sequence[Verdict], models: Sequence[str]) -> Any:
    """The matrix of points: row i, column j: what i won of j; shape (models, models)."""
    place = {model: number for number, model in enumerate(models)}
    wins = np.zeros((len(models), len(models)))
    for first, second, points, _ in verdicts:
        wins[place[first], place[second]] += points
        wins[place[second], place[first]] += 1 - points
    return wins


def trouble_with(wins: Any, models: Sequence[str]) -> str | None:
    """Why there is no finite estimate, or None.

    There is one iff for every division of the models into two groups some model of each group has won of the other
    (Ford 1957): iff the graph of wins is strongly connected.
    """
    reach = (wins > 0) | np.eye(len(models), dtype=bool)
    for _ in models:
        reach = reach @ reach
    played = (wins + wins.T > 0) | np.eye(len(models), dtype=bool)
    for _ in models:
        played = played @ played
    if not played.all():
        apart = [model for number, model in enumerate(models) if not played[0, number]]
        return f"{', '.join(apart)} and the others were never compared, not even through third models"
    if reach.all():
        return None
    strongest = max(range(len(models)), key=lambda number: int(reach[number].sum()))
    group = [model for number, model in enumerate(models) if reach[strongest, number] and reach[number, strongest]]
    return f"{', '.join(group)} never lost a point to the others"


def fit(wins: Any) -> Any:
    """Ratings of the models, mean 1000; shape (models,). `trouble_with` must have found nothing."""
    games, won = wins + wins.T, wins.sum(axis=1)
    strength = np.ones(len(wins))
    for _ in range(LONGEST):
        pairs = games / (strength[:, None] + strength[None, :])
        renewed = won / pairs.sum(axis=1)
        renewed /= np.exp(np.log(renewed).mean())
        moved = float(np.abs(np.log(renewed / strength)).max())
        strength = renewed
        if moved < TOLERANCE:
            break
    return START + SCALE * np.log10(strength)


def bradley_terry(verdicts: Sequence[Verdict], resamples: int = RESAMPLES) -> dict[str, Rating]:
    """Ratings by model, the best first, with 95 % percentile intervals of a bootstrap over items (fixed seed).

    Raises:
        DataError: there is no finite estimate, with the models that are to blame.
    """
    models = sorted({name for verdict in verdicts for name in verdict[:2]})
    wins = wins_of(verdicts, models)
    trouble = trouble_with(wins, models)
    if trouble is not None:
        raise DataError(f"The ratings have no finite estimate: {trouble}; add verdicts between them, or leave these "
                        "models out.")  # fmt: skip
    values = fit(wins)
    drawn = _resampled(verdicts, models, resamples)
    found = {model: Rating(float(value)) for model, value in zip(models, values, strict=True)}
    if drawn is not None:
        ends = np.percentile(drawn, (2.5, 97.5), axis=0)
        found = {model: Rating(found[model].value, float(low), float(high))
                 for model, low, high in zip(models, *ends, strict=True)}  # fmt: skip
    return dict(sorted(found.items(), key=lambda pair: -pair[1].value))


def _resampled(verdicts: Sequence[Verdict], models: Sequence[str], resamples: int) -> Any:
    """Ratings of each resample, shape (resamples, models); None where one of them has no finite estimate."""
    by_item: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_item.setdefault(verdict.item, []).append(verdict)
    tables = np.stack([wins_of(group, models) for group in by_item.values()])
    rng, rows = np.random.default_rng(SEED), []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(len(tables), size=len(tables)), minlength=len(tables))
        wins = np.tensordot(counts, tables, axes=1)
        if trouble_with(wins, models) is not None:
            return None
        rows.append(fit(wins))
    return np.array(rows) if rows else None


def elo(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Elo ratings in the order of the verdicts, the best first."""
    found: dict[str, float] = {}
    for first, second, points, _ in verdicts:
        one, other = found.setdefault(first, START), found.setdefault(second, START)
        expected = win_probability(one, other)
        found[first] = one + STEP * (points - expected)
        found[second] = other + STEP * ((1 - points) - (1 - expected))
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def win_probability(rating: float, other: float) -> float:
    """How often a model with `rating` is preferred to one with `other`; exactly 1/2 where they are equal."""
    return float(1 / (1 + 10 ** ((other - rating) / SCALE)))


def first_position(verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """How many of the decided verdicts the model in the first place won, and how many there are."""
    decided = [verdict.points for verdict in verdicts if verdict.points != POINTS[TIE]]
    return sum(points == POINTS[FIRST] for points in decided), len(decided)


def tallies(verdicts: Sequence[Verdict]) -> Mapping[str, tuple[int, int, int]]:
    """Wins, ties and losses of each model."""
    found: dict[str, list[int]] = {}
    for first, second, points, _ in verdicts:
        place = {1.0: 0, 0.5: 1, 0.0: 2}[points]
        found.setdefault(first, [0, 0, 0])[place] += 1
        found.setdefault(second, [0, 0, 0])[2 - place] += 1
    return {model: (counts[0], counts[1], counts[2]) for model, counts in found.items()}
