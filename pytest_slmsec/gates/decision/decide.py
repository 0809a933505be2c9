"""Judges a candidate against its base: pairs their runs, runs every gate, and combines the gates into one verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.engines.common.quantized_share import FACT, partly
from pytest_slmsec.gates.decision.combine import combine_gates
from pytest_slmsec.gates.decision.cost_gates import broken, cost_gates
from pytest_slmsec.gates.decision.drop_warnings import tolerated_drops
from pytest_slmsec.gates.decision.informative import has_faultless_constant
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.decision.pair_gates import WIN_SHARE
from pytest_slmsec.gates.decision.score_gates import score_gates
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Pair, Rescore, pair, restricted
from pytest_slmsec.gates.records.trained_on import refuse_trained
from pytest_slmsec.gates.statistics.result import POINTS

COMPARISON = "comparison"


def judge(
    bases: Sequence[BenchmarkRun], candidates: Sequence[BenchmarkRun], config: GateConfig, today: date,
    rescore: Rescore | None = None, live: Sequence[Judged] = (),
) -> Judgement:  # fmt: skip
    """Judge one candidate model against one base model on every benchmark that both have.

    Args:
        bases, candidates: the runs of one model each, every benchmark once.
        today: a changed margin whose date lies before this day becomes a warning.
        rescore: scores stored answers again, to check that today's scorer finds what is stored; None: not checked.
        live: gates that were measured with both models loaded.

    Raises:
        CompareError: they have no benchmark in common.
        UsageError: the configuration does not fit the benchmarks.
    """
    ours, theirs = {run.benchmark: run for run in bases}, {run.benchmark: run for run in candidates}
    common = [name for name in ours if name in theirs]
    if not common:
        raise CompareError(
            f"There is nothing to compare: the base ({bases[0].where}) has {', '.join(ours)}, the candidate "
            f"({candidates[0].where}) has {', '.join(theirs)}."
        )
    gates, pairs, warnings = list[Judged](), list[Pair](), config.warnings(today)
    for name in common:
        try:
            refuse_trained(ours[name], theirs[name])
            found = pair(restricted(ours[name], theirs[name]), theirs[name], rescore)
            gates += score_gates(found, config)
        except CompareError as error:
            gates.append(_error(name, error, config, ours[name].n))
            continue
        pairs.append(found)
        warnings += dict.fromkeys(f"{name}: {text}" for text in found.warnings)  # both runs may say the same
    if pairs and config.judge is not None and not any(judged.what == WIN_SHARE for judged in gates):
        raise UsageError("[tool.slmsec.gate.judge] asks for a judge's gate, and no judge was asked: name one with "
                         "--slmsec-pair-judge=MODEL, or leave out the table.")  # fmt: skip
    faultless = [name for name in common if has_faultless_constant(ours[name])]
    warnings += tolerated_drops(gates) + _not_tested(gates, faultless) + _partly_quantised(pairs)
    gates += cost_gates(pairs, config, live)
    suite = combine_gates(gates, config.suite, len(common))
    return Judgement(
        config, bases[0].model, candidates[0].model, bases[0].where, candidates[0].where, tuple(gates), suite,
        tuple(pairs), tuple(_grouped(warnings)), tuple(_missing(ours, theirs)),
    )  # fmt: skip


def _partly_quantised(pairs: Sequence[Pair]) -> list[str]:
    """A sentence on a candidate many of whose layers are in full precision, so that it says little about its bits."""
    extras = [(pair.candidate.facts.get("engine") or {}).get("extra") or {} for pair in pairs]
    found = dict.fromkeys(partly(extra.get(FACT)) for extra in extras)
    return [f"{pairs[0].candidate.model}: {why}; the verdict is on this model, not on its bits."
            for why in found if why is not None]  # fmt: skip


def _not_tested(gates: Sequence[Judged], faultless: Collection[str]) -> list[str]:
    """A sentence on each benchmark whose base could not be held against a constant answer."""
    found = [judged.benchmark for judged in gates
             if judged.member.kind is Kind.SCORE and judged.member.primary and judged.base_test is None
             and not judged.member.gain]  # fmt: skip
    return [f"{name}: {_WHY_NOT[name in faultless]}; a PASS is taken as it stands." for name in found]


_WHY_NOT = {
    False: "the record holds no constant answer that the base could be compared with",
    True: "its best constant answer is right on every item, so no base can be shown to be better",
}


def _error(benchmark: str, error: CompareError, config: GateConfig, n: int) -> Judged:
    result = broken(f"{benchmark} {COMPARISON}", config.preset.margin(n), (str(error),), POINTS)
    return Judged(benchmark, COMPARISON, Member(result, Kind.SCORE, primary=False))


def _missing(ours: Mapping[str, BenchmarkRun], theirs: Mapping[str, BenchmarkRun]) -> list[str]:
    return [f"{name} was measured on the base only; it is not compared." for name in ours if name not in theirs] + [
        f"{name} was measured on the candidate only; it is not compared." for name in theirs if name not in ours
    ]


def _grouped(warnings: Sequence[str]) -> list[str]:
    """The same warning about several benchmarks once, with their names in front."""
    names: dict[str, list[str]] = {}
    for warning in warnings:
        name, colon, text = warning.partition(": ")
        if colon:
            names.setdefault(text, []).append(name)
        else:
            names.setdefault(warning, [])
    return [f"{', '.join(who)}: {text}" if who else text for text, who in names.items()]
