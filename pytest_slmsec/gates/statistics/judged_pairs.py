"""Is a candidate preferred as often as its base, by a judge who saw each pair of answers in both orders?

Where both orders agree the candidate gets 1 or 0 (1/2 for a tie in both); where they disagree it gets 1/2 and the pair
is inconsistent (Zheng et al. 2023, arXiv 2306.05685, section 3.4). Equal answers are a tie that nobody needs to judge.
A reply that is no verdict agrees with nothing. A judge is weaker evidence than a right answer, so
this gate is asked for, never run by itself, and says INCONCLUSIVE wherever the judge shows that it cannot be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.judge_habits import TIED, Judged, habits
from pytest_slmsec.gates.statistics.paired_binary import cluster_ratio
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.result import GateResult, Verdict

MOST_INCONSISTENT = 0.20
FAMILIES = {
    **{name: name for name in ("llama", "qwen", "phi", "gemma", "mistral", "gpt", "deepseek", "falcon", "granite",
                               "olmo", "smollm", "claude", "gemini", "grok", "command", "nemotron")},
    "vicuna": "llama", "alpaca": "llama", "tinyllama": "llama", "codellama": "llama", "codellama2": "llama",
    "mixtral": "mistral", "ministral": "mistral", "magistral": "mistral", "codestral": "mistral", "qwq": "qwen",
}  # fmt: skip
"""Words of model names that tell a family. Other names count by their first word."""

# "qwen" of "hf:Qwen/Qwen3-4B", "llama" of "llama-13b-lora-iio".
_WORD = re.compile(r"[a-z]+")


class Pair(NamedTuple):
    """Both orders of an item: what the candidate gets (1, 0.5, 0), whether the orders agree, and whether the answers
    differ, so that a judge had something to compare."""

    item: str
    cluster: str
    points: float
    consistent: bool
    differ: bool = True


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
    if one.same:
        return Pair(item, one.cluster, TIED, True, differ=False)
    found = [_points_of(verdict, candidate) for verdict in both]
    agreed = found[0] if found[0] == found[1] else None
    return Pair(item, one.cluster, TIED if agreed is None else agreed, agreed is not None)


def _points_of(verdict: Judged, candidate: str) -> float | None:
    if verdict.points is None or verdict.first == candidate:
        return verdict.points
    return 1 - verdict.points


def families(model: str) -> set[str]:
    """The families in the last part of a model's name: every word that tells one, else its first word, without case."""
    name = model.lower().rsplit("/", 1)[-1].rsplit(":", 1)[-1]
    known = {FAMILIES[word] for word in _WORD.findall(name) if word in FAMILIES}
    first = _WORD.match(name)
    return known or {first[0] if first else name}


def judged_gate(
    judged: Sequence[Judged], candidate: str, base: str, margin: float, alpha: float = 0.05,
    gate: str = "judge's win share",
) -> GateResult:  # fmt: skip
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
    found = real_gate(gains, margin, 1.0, alpha, gate=gate, cluster_se_ratio=ratio)
    doubts = [*_doubts(pairs, seen, (candidate, base)), *habits(seen)]
    share = sum(pair.points for pair in pairs) / len(pairs)
    inconsistent = _inconsistent(pairs)
    details: dict[str, Any] = {**found.details, "win_share": share, "inconsistent": inconsistent}
    verdict = Verdict.INCONCLUSIVE if doubts else found.verdict
    return GateResult(found.gate, verdict, found.n, found.estimate, found.lower, found.upper, margin, found.p_fail,
                      found.method, found.unit, found.scale, (*found.reasons, *doubts), details)  # fmt: skip


def _inconsistent(pairs: Sequence[Pair]) -> float:
    """The share of the pairs with different answers whose orders disagree, or have a reply that is no verdict."""
    asked = [pair for pair in pairs if pair.differ]
    return sum(not pair.consistent for pair in asked) / len(asked) if asked else 0.0


def _doubts(pairs: Sequence[Pair], seen: Sequence[Judged], models: Sequence[str]) -> list[str]:
    inconsistent = _inconsistent(pairs)
    judges = sorted({verdict.judge for verdict in seen})
    doubts = [f"The judge {judge} is of the family of {model}, and may prefer its own kind." for judge in judges
              for model in models if families(judge) & families(model)]  # fmt: skip
    if inconsistent > MOST_INCONSISTENT:
        doubts.append(f"{100 * inconsistent:.0f} % of the pairs got another verdict in the other order; at most "
                      f"{100 * MOST_INCONSISTENT:.0f} % are accepted.")  # fmt: skip
        unread = sum(verdict.points is None for verdict in seen)
        doubts += [f"{unread:,} of the judge's {len(seen):,} replies are no verdict."] if unread else []
    return doubts
