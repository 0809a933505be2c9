"""All gates of a candidate against its base, and the one verdict on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.decision.cost_gates import broken, cost_gates
from pytest_slmsec.gates.decision.drop_warnings import tolerated_drops
from pytest_slmsec.gates.decision.score_gates import Judged, score_gates
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.suite import ALPHA, Kind, Limits, Member, SuiteResult, suite_verdict
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Pair, Rescore, pair, restricted
from pytest_slmsec.gates.statistics.result import POINTS, GateResult, Verdict
from pytest_slmsec.gates.statistics.sequential_design import SequentialDesign, design_of

COMPARISON = "comparison"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate against its base.

    Attributes:
        base, candidate: names of the models. base_where, candidate_where: file or run.
        gates: all gates, in the order of the benchmarks, then those of the whole model.
        verdicts: of each gate within the family, by its name: an alarm that does not hold among so many gates is
            INCONCLUSIVE.
        suite: verdict on all of them. pairs: the benchmarks that could be compared.
        warnings: sentences. missing: sentences on benchmarks that only one side has.
    """

    config: GateConfig
    base: str
    candidate: str
    base_where: str
    candidate_where: str
    gates: tuple[Judged, ...]
    verdicts: Mapping[str, Verdict]
    suite: SuiteResult
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict of the suite."""
        return self.suite.verdict

    @property
    def benchmarks(self) -> list[str]:
        """Labels of all benchmarks that were to be compared."""
        return list(dict.fromkeys(judged.benchmark for judged in self.gates if judged.benchmark))

    @property
    def designs(self) -> list[tuple[BenchmarkRun, SequentialDesign]]:
        """The candidate's run and design of each benchmark that could stop early or be extended."""
        runs = [p.candidate for p in self.pairs]
        return [(run, design) for run in runs if (design := design_of(run.facts, run.name)) is not None]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {
            "base": self.base,
            "candidate": self.candidate,
            "base_from": self.base_where,
            "candidate_from": self.candidate_where,
            "preset": self.config.preset_name,
            "scope": self.config.scope,
            "alpha": self.config.alpha,
            "verdict": self.verdict.value,
            "suite": self.suite.to_json(),
            "gates": [self._gate_json(judged) for judged in self.gates],
            "early_stop": {run.benchmark: _design_json(run, design) for run, design in self.designs},
            "hashes": {p.base.benchmark: _hashes(p) for p in self.pairs},
            "warnings": list(self.warnings),
            "missing": list(self.missing),
        }

    def _gate_json(self, judged: Judged) -> dict[str, Any]:
        name = judged.result.gate
        return {
            **judged.result.to_json(),
            "benchmark": judged.benchmark,
            "what": judged.what,
            "kind": judged.member.kind.value,
            "advisory": judged.advisory,
            "required": name in self.suite.required,
            "base": judged.base,
            "candidate": judged.candidate,
            "p_holm": self.suite.p_holm.get(name),
            "verdict_in_family": self.verdicts[name].value,
        }


def _design_json(run: BenchmarkRun, design: SequentialDesign) -> dict[str, Any]:
    total = design.n_total
    return {**design.to_json(), "n": run.n, "n_total": total, "saved": total - run.n}


def single_benchmark_verdict(gates: Sequence[Judged], benchmarks: int) -> Verdict | None:
    """What one benchmark says, if it needs no more items: FAIL as soon as a gate FAILs, PASS once all that decide do.

    Among several benchmarks a FAIL has to hold in their family, so its p-value must be small enough for Holm's first
    step in the suite. The rule may look at all gates together, for each keeps its error rate whatever stops the run.

    Args:
        gates: of one benchmark, at a look. benchmarks: how many are judged together.
    """
    counted = [judged for judged in gates if not judged.advisory]
    failed = [judged.result for judged in counted if judged.result.verdict is Verdict.FAIL]
    level = ALPHA / 2 / (benchmarks * len(counted))
    if any(benchmarks == 1 or result.p_fail is None or result.p_fail < level for result in failed):
        return Verdict.FAIL
    passed = all(judged.result.verdict is Verdict.PASS for judged in counted if _decides(judged))
    return Verdict.PASS if passed and not failed else None


def _hashes(found: Pair) -> dict[str, Any]:
    facts = found.base.facts
    weights = [(run.facts.get("engine") or {}).get("weights_sha256") for run in (found.base, found.candidate)]
    return {
        "items": facts.get("items_sha256"),
        "scorer": facts["scorer"],
        "decoding": facts.get("decoding_sha256"),
        "base_weights": weights[0],
        "candidate_weights": weights[1],
    }


def judge(
    bases: Sequence[BenchmarkRun], candidates: Sequence[BenchmarkRun], config: GateConfig, today: date,
    rescore: Rescore | None = None, live: Sequence[Judged] = (),
) -> Judgement:  # fmt: skip
    """Judge one candidate model against one base model on every benchmark that both have.

    Args:
        bases, candidates: the runs of one model each, every benchmark once.
        today: against which dates of changed margins are held. live: gates measured with both models loaded.

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
            found = pair(restricted(ours[name], theirs[name]), theirs[name], rescore)
            gates += score_gates(found, config)
        except CompareError as error:
            gates.append(_error(name, error, config, ours[name].n))
            continue
        pairs.append(found)
        warnings += dict.fromkeys(f"{name}: {text}" for text in found.warnings)  # both runs may have the same to say
    warnings += tolerated_drops(gates)
    gates += cost_gates(pairs, config, live)
    suite, verdicts = _together(gates, config.suite, len(common))
    return Judgement(
        config, bases[0].model, candidates[0].model, bases[0].where, candidates[0].where, tuple(gates), verdicts, suite,
        tuple(pairs), tuple(_grouped(warnings)), tuple(_missing(ours, theirs)),
    )  # fmt: skip


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
        names.setdefault(text if colon else warning, []).append(name if colon else "")
    return [": ".join(filter(None, (", ".join(filter(None, who)), text))) for text, who in names.items()]


def _together(gates: Sequence[Judged], limits: Limits, benchmarks: int) -> tuple[SuiteResult, dict[str, Verdict]]:
    """The suite's verdict, and each gate's within the family.

    A benchmark compared alone is judged by its own gates, each at its own error rate. Among several a gate's FAIL
    counts from the Holm-adjusted p that FAILs the suite.
    """
    suite = suite_verdict([judged.member for judged in gates if not judged.advisory], limits)
    if benchmarks == 1:
        return _alone(gates, suite), {judged.result.gate: judged.result.verdict for judged in gates}
    return suite, {judged.result.gate: _in_family(judged.result, suite) for judged in gates}


def _in_family(result: GateResult, suite: SuiteResult) -> Verdict:
    shaky = result.verdict is Verdict.FAIL and suite.p_holm.get(result.gate, 0.0) >= ALPHA / 2
    return Verdict.INCONCLUSIVE if shaky else result.verdict


def _alone(gates: Sequence[Judged], suite: SuiteResult) -> SuiteResult:
    counted = [judged for judged in gates if not judged.advisory]
    worst = Verdict.worst(_said(judged) for judged in counted if _decides(judged))
    deciding = [judged.result for judged in counted if _said(judged) is worst]
    reasons = () if worst is Verdict.PASS else tuple(f"{result.gate}: {_WHY[worst]}" for result in deciding)
    return replace(suite, verdict=worst, reasons=reasons)


def _said(judged: Judged) -> Verdict:
    """What a gate says where a benchmark stands alone: a distance beyond its budget is a reason to look, no drop."""
    return Verdict.INCONCLUSIVE if judged.trips else judged.result.verdict


_WHY = {
    Verdict.FAIL: "the drop is beyond its limit.",
    Verdict.INCONCLUSIVE: "could not be decided.",
    Verdict.ERROR: "the comparison is broken.",
}


def _decides(judged: Judged) -> bool:
    """Whether a gate takes part where a benchmark stands alone: secondary ones can only FAIL."""
    member, verdict = judged.member, judged.result.verdict
    return (
        verdict in (Verdict.FAIL, Verdict.ERROR)
        or (member.kind is Kind.SCORE and (member.primary or member.own_margin))
        or member.kind in (Kind.PARSE, Kind.FIDELITY)
        or (member.kind is Kind.COST and member.own_margin)
    )
