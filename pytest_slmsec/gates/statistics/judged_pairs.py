"""Is a candidate preferred as often as its base, by a judge who saw each pair of answers in both orders?

Where both orders agree the candidate gets 1 or 0 (1/2 for a tie in both); where they disagree it gets 1/2 and the pair
is inconsistent (Zheng et al. 2023, arXiv 2306.05685, section 3.4). A judge is weaker evidence than a right answer, so
this gate is asked for, never run by itself, and says INCONCLUSIVE wherever the judge shows that it cannot be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.bradley_terry import POINTS, TIE
from pytest_slmsec.gates.statistics.paired_binary import cluster_ratio
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.result import GateResult, Verdict

MOST_INCONSISTENT = 0.20
FEWEST, FIRST_FROM, LONGER_FROM = 30, 0.65, 0.80
"""Decided verdicts from which the judge's habits are looked at, and the shares that show one."""

# "qwen" of "hf:Qwen/Qwen3-4B", "llama" of "llama-13b-lora-iio".
_FAMILY = re.compile(r"[a-z]+")


class Judged(NamedTuple):
    """One verdict on one order of a pair.

    Attributes:
        item, cluster: what both had answered, and what it belongs to. judge: who judged.
        first, second: the models in the order in which the judge saw their answers. points: of the first (1, 0.5, 0).
        first_sha256, second_sha256: digests of the answers. first_chars, second_chars: their lengths.
        raw: what the judge said.
    """

    item: str
    cluster: str
    judge: str
    first: str
    second: str
    points: float
    first_sha256: str
    second_sha256: str
    first_chars: int
    second_chars: int
    raw: str


class Pair(NamedTuple):
    """Both orders of an item: what the candidate gets (1, 0.5, 0), and whether the orders agree."""

    item: str
    cluster: str
    points: float
    consistent: bool


def pairs_of(judged: Sequence[Judged], candidate: str, base: str) -> list[Pair]:
    """The pairs of two models, in the order of the items.

    Raises:
        CompareError: there is none, an order is missing or doubled, or the answers of the two orders are not the same.
    """
    by_item: dict[str, list[Judged]] = {}
    for verdict in judged:
        if {verdict.first, verdict.second} == {candidate, base}:
            by_item.setdefault(verdict.item, []).append(verdict)
    if not by_item:
        raise CompareError(f"There are no verdicts on pairs of {candidate} and {base}; name two models of the file.")
    return [_pair(item, both, candidate) for item, both in by_item.items()]


def _pair(item: str, both: Sequence[Judged], candidate: str) -> Pair:
    if len(both) != 2 or both[0].first == both[1].first:
        raise CompareError(f"Item {item}: each pair needs one verdict in either order, and there are {len(both)} with "
                           f"{both[0].first} first; have it judged again.")  # fmt: skip
    one, other = both
    if (one.first_sha256, one.second_sha256) != (other.second_sha256, other.first_sha256):
        raise CompareError(f"Item {item}: the two orders show different answers; have it judged again.")
    found = [verdict.points if verdict.first == candidate else 1 - verdict.points for verdict in both]
    agree = found[0] == found[1]
    return Pair(item, one.cluster, found[0] if agree else 0.5, agree)


def family(model: str) -> str:
    """The family in a model's name: the first word of its last part, without case."""
    name = model.lower().rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    found = _FAMILY.match(name)
    return found[0] if found else name


def habits(judged: Sequence[Judged]) -> list[str]:
    """What the verdicts show of the judge: sentences that begin with ``judge-constant``, ``judge-prefers-first`` or
    ``judge-prefers-longer``. Too few verdicts show nothing."""
    decided = [verdict for verdict in judged if verdict.points != POINTS[TIE]]
    sized = [verdict for verdict in decided if verdict.first_chars != verdict.second_chars]
    longer = [(verdict.points == 1) == (verdict.first_chars > verdict.second_chars) for verdict in sized]
    found = []
    if len(judged) >= FEWEST and len({verdict.points for verdict in judged}) == 1:
        found.append(f"judge-constant: all {len(judged)} verdicts are the same.")
    first = [verdict.points == 1 for verdict in decided]
    if len(first) >= FEWEST and not 1 - FIRST_FROM < sum(first) / len(first) < FIRST_FROM:
        found.append(f"judge-prefers-first: the first answer won {100 * sum(first) / len(first):.0f} % of {len(first)} "
                     "verdicts, and each answer stood there as often.")  # fmt: skip
    if len(longer) >= FEWEST and sum(longer) / len(longer) >= LONGER_FROM:
        found.append(f"judge-prefers-longer: the longer answer won {100 * sum(longer) / len(longer):.0f} % of "
                     f"{len(longer)} verdicts.")  # fmt: skip
    return found


def judged_gate(judged: Sequence[Judged], candidate: str, base: str, margin: float, alpha: float = 0.05) -> GateResult:
    """Is the candidate's win share less than 1/2 by more than `margin` (a share of 1)?

    Bounds are those of `paired_real.real_gate`, wider where items come in clusters. Beyond `MOST_INCONSISTENT`, with a
    judge of the family of either model, or with a habit of the judge, the verdict is INCONCLUSIVE whatever the bounds.

    Raises:
        CompareError: see `pairs_of`. UsageError: the margin is out of range.
    """
    pairs = pairs_of(judged, candidate, base)
    seen = [verdict for verdict in judged if {verdict.first, verdict.second} == {candidate, base}]
    gains, clusters = [pair.points - 0.5 for pair in pairs], [pair.cluster for pair in pairs]
    ratio = cluster_ratio(gains, clusters) if len(set(clusters)) > 1 else 1.0
    found = real_gate(gains, margin, 1.0, alpha, gate="judge's win share", cluster_se_ratio=ratio)
    doubts = [*_doubts(pairs, seen, (candidate, base)), *habits(seen)]
    share = sum(pair.points for pair in pairs) / len(pairs)
    inconsistent = sum(not pair.consistent for pair in pairs) / len(pairs)
    details: dict[str, Any] = {**found.details, "win_share": share, "inconsistent": inconsistent}
    verdict = Verdict.INCONCLUSIVE if doubts else found.verdict
    return GateResult(found.gate, verdict, found.n, found.estimate, found.lower, found.upper, margin, found.p_fail,
                      found.method, found.unit, found.scale, (*found.reasons, *doubts), details)  # fmt: skip


def _doubts(pairs: Sequence[Pair], seen: Sequence[Judged], models: Sequence[str]) -> list[str]:
    inconsistent = sum(not pair.consistent for pair in pairs) / len(pairs)
    judges = sorted({verdict.judge for verdict in seen})
    doubts = [f"The judge {judge} is of the family of {model}, and may prefer its own kind." for judge in judges
              for model in models if family(judge) == family(model)]  # fmt: skip
    if inconsistent > MOST_INCONSISTENT:
        doubts.append(f"{100 * inconsistent:.0f} % of the pairs got another verdict in the other order; at most "
                      f"{100 * MOST_INCONSISTENT:.0f} % are accepted.")  # fmt: skip
    return doubts
