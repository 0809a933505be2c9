"""One verdict for the gates of one benchmark, and one for the gates of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.policy.suite import FAMILY_LEVEL, Kind, Limits, SuiteResult, suite_verdict
from pytest_slmsec.gates.statistics.result import UNINFORMATIVE, GateResult, Verdict


def combine_gates(gates: Sequence[Judged], limits: Limits, benchmarks: int) -> SuiteResult:
    """The verdict on all gates of a comparison.

    Where only one benchmark was compared, each of its gates counts at its own error rate. Among several, the rule of
    the suite counts, and a gate's FAIL has to hold in the family (`policy.suite.verdict_in_family`).

    Args:
        benchmarks: how many were compared.
    """
    suite = suite_verdict([judged.member for judged in gates if not judged.advisory], limits)
    return suite if benchmarks > 1 else single_benchmark_verdict(gates, suite)


def single_benchmark_verdict(gates: Sequence[Judged], suite: SuiteResult) -> SuiteResult:
    """The result of a comparison of one benchmark: the gravest verdict of the gates that decide.

    Args:
        suite: of the same gates; its averages and p-values are kept.
    """
    counted = [judged for judged in gates if not judged.advisory]
    worst = Verdict.worst(_counted_as(judged) for judged in counted if decides(judged))
    deciding = [judged for judged in counted if worst is not Verdict.PASS and _counted_as(judged) is worst]
    return replace(
        suite,
        verdict=worst,
        reasons=tuple(dict.fromkeys(_reason(judged.result, worst) for judged in deciding)),
        gate_verdicts={judged.result.gate: judged.result.verdict for judged in counted},
    )


def _reason(result: GateResult, verdict: Verdict) -> str:
    if verdict is Verdict.INCONCLUSIVE and UNINFORMATIVE in result.details:
        return str(result.details[UNINFORMATIVE])
    why = f"{result.failure}." if verdict is Verdict.FAIL else _WHY[verdict]
    return f"{result.gate}: {why}"


_WHY = {
    Verdict.INCONCLUSIVE: "could not be decided.",
    Verdict.ERROR: "the comparison is broken.",
}


def _counted_as(judged: Judged) -> Verdict:
    """A gate's verdict as it counts: a KL beyond its budget is no drop, so it only makes the result INCONCLUSIVE."""
    return Verdict.INCONCLUSIVE if judged.trips else judged.result.verdict


def decides(judged: Judged) -> bool:
    """Whether a gate takes part in the verdict on one benchmark: those of secondary metrics do only where they FAIL."""
    member = judged.member
    if judged.result.verdict in (Verdict.FAIL, Verdict.ERROR) or member.kind in (Kind.PARSE, Kind.FIDELITY):
        return True
    return member.own_margin or (member.kind is Kind.SCORE and member.primary)


def early_verdict(gates: Sequence[Judged], benchmarks: int) -> Verdict | None:
    """The verdict with which a benchmark needs no more items, or None where it needs them.

    It FAILs as soon as one gate FAILs, and PASSes once every gate that decides does. Among several benchmarks a FAIL
    must be certain to hold in the family: its p-value must be small enough for the first step of Holm. All gates may be
    looked at together, because each keeps its error rate whichever of them stops the run.

    Args:
        gates: of one benchmark, at an interim look. benchmarks: how many are judged together.
    """
    counted = [judged for judged in gates if not judged.advisory]
    failed = [judged.result for judged in counted if judged.result.verdict is Verdict.FAIL]
    level = FAMILY_LEVEL / (benchmarks * len(counted))
    if any(benchmarks == 1 or result.p_fail is None or result.p_fail < level for result in failed):
        return Verdict.FAIL
    passed = all(judged.result.verdict is Verdict.PASS for judged in counted if decides(judged))
    return Verdict.PASS if passed and not failed else None
