"""What a judge's verdicts on pairs of answers show of the judge: constant, one place, or length preferred.

Each pair is judged in both orders, so without a habit the first answer wins half of the decided verdicts (Zheng et al.
2023, arXiv 2306.05685, sections 3.3 and 3.4: position and verbosity bias).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import CompareError

TIED = 0.5
FEWEST, FIRST_FROM, LONGER_FROM = 30, 0.65, 0.80
"""Verdicts from which the judge's habits are looked at, and the shares that show one."""
PLAIN = ("first", "second", "points", "first_sha256", "second_sha256", "first_chars", "second_chars", "raw")
"""What a record holds of each verdict; its item, cluster and judge stand with the item."""


class Judged(NamedTuple):
    """One verdict on one order of a pair.

    Attributes:
        item, cluster: what both had answered, and what it belongs to. judge: who judged.
        first, second: the models in the order in which the judge saw their answers.
        points: of the first (1, 0.5, 0); None: what the judge said is no verdict.
        first_sha256, second_sha256: digests of the answers. first_chars, second_chars: their lengths.
        raw: what the judge said; empty where both answers are the same, so that nobody was asked.
    """

    item: str
    cluster: str
    judge: str
    first: str
    second: str
    points: float | None
    first_sha256: str
    second_sha256: str
    first_chars: int
    second_chars: int
    raw: str

    @property
    def same(self) -> bool:
        """Whether both answers are the same text."""
        return self.first_sha256 == self.second_sha256

    def to_plain(self) -> dict[str, Any]:
        """The verdict without item, cluster and judge, as plain data."""
        return {name: getattr(self, name) for name in PLAIN}


def from_plain(verdict: Any, item: str, cluster: str, judge: str) -> Judged:
    """The inverse of `Judged.to_plain`.

    Raises:
        CompareError: a field is missing or of a wrong kind.
    """
    kinds = {"points": (float, int, type(None)), "first_chars": int, "second_chars": int}
    sound = isinstance(verdict, Mapping) and all(
        name in verdict and isinstance(verdict[name], kinds.get(name, str)) for name in PLAIN  # type: ignore[arg-type]
    )  # fmt: skip
    if not sound or verdict["points"] not in (0, TIED, 1, None):
        raise CompareError(f"Item {item}: a stored verdict of the judge {judge} is damaged; have it judged again.")
    return Judged(item, cluster, judge, **{name: verdict[name] for name in PLAIN})


def constant(judged: Sequence[Judged]) -> str | None:
    """The fact that a judge said the same of every pair, or None."""
    found = [verdict.points for verdict in judged if not verdict.same and verdict.points is not None]
    if len(found) < FEWEST or len(set(found)) > 1:
        return None
    return f"all {len(found)} verdicts are the same"


def prefers_first(judged: Sequence[Judged]) -> str | None:
    """The fact that one place wins too often, or None."""
    first = [verdict.points == 1 for verdict in _decided(judged)]
    if len(first) < FEWEST or 1 - FIRST_FROM < sum(first) / len(first) < FIRST_FROM:
        return None
    share = 100 * sum(first) / len(first)
    return f"the first answer won {share:.0f} % of {len(first)} verdicts, and each answer stood there as often"


def prefers_longer(judged: Sequence[Judged]) -> str | None:
    """The fact that the longer answer wins too often, or None."""
    sized = [verdict for verdict in _decided(judged) if verdict.first_chars != verdict.second_chars]
    longer = [(verdict.points == 1) == (verdict.first_chars > verdict.second_chars) for verdict in sized]
    if len(longer) < FEWEST or sum(longer) / len(longer) < LONGER_FROM:
        return None
    return f"the longer answer won {100 * sum(longer) / len(longer):.0f} % of {len(longer)} verdicts"


def _decided(judged: Sequence[Judged]) -> list[Judged]:
    return [verdict for verdict in judged if verdict.points in (0, 1) and not verdict.same]


HABITS = {
    "judge-constant": constant,
    "judge-prefers-first": prefers_first,
    "judge-prefers-longer": prefers_longer,
}


def habits(judged: Sequence[Judged]) -> list[str]:
    """What the verdicts show of the judge: sentences that begin with the name of the habit. Too few show nothing."""
    found = ((name, look(judged)) for name, look in HABITS.items())
    return [f"{name}: {fact}." for name, fact in found if fact is not None]
