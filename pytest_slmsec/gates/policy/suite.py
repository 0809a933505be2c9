"""One verdict for many gates: two tiers (macro average and per-benchmark guard) with a veto."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.common import normal_quantile
from pytest_slmsec.gates.statistics.result import UNINFORMATIVE, Bounds, GateResult, Verdict

ALPHA = 0.05
FAMILY_LEVEL = ALPHA / 2
"""Error rate of a FAIL among several gates. The other half of `ALPHA` belongs to the macro average, so that together at
most 5 % of unchanged models FAIL."""
HOLM = "holm"


class Kind(str, Enum):
    """What a gate watches, which decides its say in the suite.

    SCORE: a benchmark's metric. PARSE: the share of parsed answers. FIDELITY: distance of distributions, a tripwire.
    COST: speed, memory, size.
    """

    SCORE = "score"
    PARSE = "parse"
    FIDELITY = "fidelity"
    COST = "cost"


@dataclass(frozen=True, slots=True)
class Member:
    """One gate of a suite.

    Attributes:
        result: what the gate found; its bounds at one-sided 0.05.
        kind: what it watches.
        required: it must be shown good for PASS; None: a score or parse gate with enough items is.
        primary: its score enters the macro average (one per benchmark).
        own_margin: its margin was set for it, so PASS of the suite needs PASS of the gate.
        blocks: FAIL of a fidelity gate FAILs the suite; without it the suite becomes INCONCLUSIVE.
        informative: the base was shown to be better than a constant answer, or could not be tested. Without it the
            score has no part in the macro average, so that a benchmark with nothing to lose never makes a PASS.
        gain: a gain is asked for. It has no part in the macro average either, where it would make up for drops.
        variants: its items are those of another benchmark in other texts, which the macro average counts already.
    """

    result: GateResult
    kind: Kind = Kind.SCORE
    required: bool | None = None
    primary: bool = True
    own_margin: bool = False
    blocks: bool = False
    informative: bool = True
    gain: bool = False
    variants: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What the suite tolerates; drops as shares of each metric's scale.

    Attributes:
        macro: mean drop over the required benchmarks. each: drop of any required benchmark.
        required_min_items: smaller benchmarks are advisory: they can FAIL and veto, not PASS.
        adjust: how p-values are adjusted for the number of gates, of `ADJUSTMENTS`.
    """

    macro: float = 0.02
    each: float = 0.05
    required_min_items: int = 300
    adjust: str = HOLM


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """The verdict of a suite.

    Attributes:
        verdict: the verdict. reasons: complete sentences, what decided it.
        macro: estimate of the mean drop over required primary gates (share of the scale), None without any.
        macro_lower (at 0.025), macro_upper (at 0.05): its one-sided bounds.
        p_holm: Holm-adjusted p_fail by gate.
        gate_verdicts: verdict of each gate as it counts among the others; see `verdict_in_family`.
        required: names of the required gates.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    macro: float | None
    macro_lower: float | None
    macro_upper: float | None
    p_holm: Mapping[str, float]
    gate_verdicts: Mapping[str, Verdict]
    required: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "verdict": self.verdict.value,
            "reasons": list(self.reasons),
            "macro": self.macro,
            "macro_lower": self.macro_lower,
            "macro_upper": self.macro_upper,
            "p_holm": dict(self.p_holm),
            "gate_verdicts": {name: v.value for name, v in self.gate_verdicts.items()},
            "required": list(self.required),
        }


def _check_p(p_values: Sequence[float]) -> None:
    if any(not 0 <= p <= 1 for p in p_values):
        raise UsageError(f"p-values must lie in [0, 1], got {list(p_values)}.")


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm-adjusted p-values, in the order given.

    The i-th smallest becomes max over j <= i of (m - j + 1) p_(j), at most 1: controls the chance of any false alarm.
    Source: Holm, Scandinavian Journal of Statistics 6:65 (1979).
    """
    _check_p(p_values)
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that control the false discovery rate; for warnings only, never for a verdict.

    Source: Benjamini & Hochberg, JRSS B 57:289 (1995).
    """
    _check_p(p_values)
    adjusted, running, m = [0.0] * len(p_values), 1.0, len(p_values)
    order = sorted(range(m), key=p_values.__getitem__)
    for rank in range(m, 0, -1):
        running = min(running, p_values[order[rank - 1]] * (m / rank))
        adjusted[order[rank - 1]] = running
    return adjusted


ADJUSTMENTS: Mapping[str, Callable[[Sequence[float]], list[float]]] = {HOLM: holm}
"""By the name in the configuration: what bounds the chance of any false alarm, whatever the gates have to do with each
other. `benjamini_hochberg` does not."""


def macro_bounds(results: Sequence[GateResult]) -> tuple[float, Bounds]:
    """Mean drop of independent gates on the common scale, and its bounds: lower at 0.025, upper at 0.05.

    upper = mean + sqrt(sum (u_g - e_g)^2) / G from each gate's own bound u_g, which keeps the asymmetry of the bounds
    and stays honest where no answer changed (a variance would be 0). With one gate it is that gate's bound. The lower
    one is widened from 0.05 to 0.025 by the ratio of the normal quantiles. A bound that a gate cannot give counts as
    the worst possible.
    Source: method of variance estimates recovery, Zou & Donner, Statistics in Medicine 27:1693 (2008).

    Raises:
        UsageError: no results, or one without an estimate.
    """
    if not results or any(r.estimate is None for r in results):
        raise UsageError("A macro average needs at least one gate, and an estimate of each.")
    size, mean, above, below = len(results), 0.0, 0.0, 0.0
    for r in results:
        estimate = (r.estimate or 0.0) / r.scale
        mean += estimate / size
        above += ((1.0 if r.upper is None else r.upper / r.scale) - estimate) ** 2
        below += (estimate - (-1.0 if r.lower is None else r.lower / r.scale)) ** 2
    wider = normal_quantile(ALPHA / 2) / normal_quantile(ALPHA)
    return mean, Bounds(mean - wider * math.sqrt(below) / size, mean + math.sqrt(above) / size)


def _is_required(member: Member, limits: Limits) -> bool:
    if member.required is not None:
        return member.required
    return member.kind in (Kind.SCORE, Kind.PARSE) and member.result.n >= limits.required_min_items


def _is_averaged(member: Member) -> bool:
    """Whether the score of a required gate belongs into the macro average."""
    is_primary_score = member.kind is Kind.SCORE and member.primary and not (member.gain or member.variants)
    return is_primary_score and member.result.estimate is not None


def _alarms(members: Sequence[Member], p_holm: Mapping[str, float], macro_lower: float | None, limits: Limits,
            macro_gates: int) -> list[str]:  # fmt: skip
    """Sentences on what FAILs the suite."""
    beyond = [(m.result, p_holm[m.result.gate]) for m in members if p_holm.get(m.result.gate, 1.0) < FAMILY_LEVEL]
    found = [f"{result.gate}: {result.failure} (Holm p = {p:.2g})." for result, p in beyond]
    if macro_lower is not None and macro_lower > limits.macro:
        found.append(f"The mean drop over {macro_gates} required gates is at least {100 * macro_lower:.1f} points; "
                     f"{100 * limits.macro:g} are allowed.")  # fmt: skip
    for m in members:
        certain = m.result.p_fail is None and m.kind is not Kind.FIDELITY
        if m.result.verdict is Verdict.FAIL and (certain or (m.kind is Kind.FIDELITY and m.blocks)):
            found.append(f"{m.result.gate}: beyond its limit.")
    return found


def _doubts(members: Sequence[Member], macro_upper: float | None, limits: Limits) -> list[str]:
    """Sentences on what keeps the suite from PASS."""
    found = []
    only_gains = all(m.gain for m in members if m.kind is Kind.SCORE and m.primary)
    if macro_upper is None and not only_gains:
        found += _nothing_averaged(members, limits)
    elif macro_upper is not None and macro_upper >= limits.macro:
        found.append(f"The mean drop may be up to {100 * macro_upper:.1f} points; {100 * limits.macro:g} are allowed.")
    for m in members:
        found += _member_doubts(m, limits)
    return found


def _nothing_averaged(members: Sequence[Member], limits: Limits) -> list[str]:
    """Why no benchmark can make a PASS."""
    found = [str(m.result.details.get(UNINFORMATIVE)) for m in members
             if not m.informative and _is_required(m, limits) and _is_averaged(m)]  # fmt: skip
    return found or [f"No benchmark has the {limits.required_min_items} items that a PASS needs."]


def _member_doubts(m: Member, limits: Limits) -> list[str]:
    r, required = m.result, _is_required(m, limits)
    if m.kind is Kind.FIDELITY and r.verdict is Verdict.FAIL:
        return [f"{r.gate}: the model changed more than its recipe ever did; run the full accuracy gates."]
    if r.p_fail is not None and r.p_fail < ALPHA:
        return [f"{r.gate}: an unadjusted alarm (p = {r.p_fail:.2g}) vetoes PASS."]
    if m.kind in (Kind.SCORE, Kind.PARSE) and required and (r.upper is None or r.upper / r.scale >= limits.each):
        return [f"{r.gate}: not shown to be within {100 * limits.each:g} points."]
    if (m.own_margin or (required and m.kind in (Kind.FIDELITY, Kind.COST))) and r.verdict is not Verdict.PASS:
        return [str(r.details.get(UNINFORMATIVE) or f"{r.gate}: not shown to be within its own limit.")]
    return []


def suite_verdict(members: Sequence[Member], limits: Limits = Limits()) -> SuiteResult:
    """The verdict on all gates together.

    ERROR if any gate is ERROR. FAIL if a Holm-adjusted p is below 0.025, or the macro average's lower bound at 0.025 is
    beyond its limit (together at most 5 % false FAIL), or a threshold gate FAILs. PASS if the macro average's upper
    bound is within its limit, every required benchmark is within the guard (and its own margin, where it has one), and
    no gate at all has a raw p below 0.05. Else INCONCLUSIVE. A suite of one gate is that gate.

    Raises:
        UsageError: no gates, or two of the same name.
    """
    twice = [name for name, count in Counter(m.result.gate for m in members).items() if count > 1]
    if not members or twice:
        raise UsageError(f"Two gates have the same name: {', '.join(twice)}." if twice else
                         "A suite needs at least one gate; nothing was compared.")  # fmt: skip
    tested = [m.result for m in members if m.result.p_fail is not None and m.kind is not Kind.FIDELITY]
    adjusted = ADJUSTMENTS[limits.adjust]([r.p_fail or 0.0 for r in tested])
    p_holm = dict(zip((r.gate for r in tested), adjusted, strict=True))
    required = [m for m in members if _is_required(m, limits)]
    averaged = [m.result for m in required if m.informative and _is_averaged(m)]
    macro, bounds = macro_bounds(averaged) if averaged else (None, Bounds(None, None))
    verdict, reasons = _judge(members, p_holm, bounds, limits, len(averaged))
    if len(members) == 1:
        verdicts = {m.result.gate: m.result.verdict for m in members}
    else:
        verdicts = {m.result.gate: verdict_in_family(m.result, p_holm) for m in members}
    return SuiteResult(verdict, reasons, macro, bounds.lower, bounds.upper, p_holm, verdicts,
                       tuple(m.result.gate for m in required))  # fmt: skip


def _judge(
    members: Sequence[Member], p_holm: Mapping[str, float], macro: Bounds, limits: Limits, macro_gates: int
) -> tuple[Verdict, tuple[str, ...]]:
    broken = [f"{m.result.gate}: the comparison is broken." for m in members if m.result.verdict is Verdict.ERROR]
    if broken:
        return Verdict.ERROR, tuple(broken)
    if len(members) == 1:
        return members[0].result.verdict, members[0].result.reasons
    alarms = _alarms(members, p_holm, macro.lower, limits, macro_gates)
    if alarms:
        return Verdict.FAIL, tuple(alarms)
    doubts = _doubts(members, macro.upper, limits)
    return (Verdict.INCONCLUSIVE if doubts else Verdict.PASS), tuple(doubts)


def verdict_in_family(result: GateResult, p_holm: Mapping[str, float]) -> Verdict:
    """The verdict of a gate among several: a FAIL counts only where its Holm-adjusted p is below `FAMILY_LEVEL`.

    That is the level at which a gate FAILs the suite, so a gate is FAIL here exactly where it FAILs the suite. A FAIL
    at a larger p is an alarm: INCONCLUSIVE, and it keeps the suite from PASS. A gate without a p-value (a threshold, a
    fact) keeps its own verdict.
    """
    is_alarm = result.verdict is Verdict.FAIL and p_holm.get(result.gate, 0.0) >= FAMILY_LEVEL
    return Verdict.INCONCLUSIVE if is_alarm else result.verdict
