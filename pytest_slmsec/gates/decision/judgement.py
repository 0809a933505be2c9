"""What all gates of a candidate found, and the verdict on them, as data and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.core.items import TRAINED_ON
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.suite import SuiteResult
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.categories import category_losses
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.records.trained_on import without_seen
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import SequentialDesign, design_of


@dataclass(frozen=True, slots=True)
class Judgement:
    """A candidate against its base.

    Attributes:
        base, candidate: names of the models. base_where, candidate_where: file or run.
        gates: all gates, in the order of the benchmarks, then those of the whole model.
        suite: verdict on all of them. pairs: the benchmarks that could be compared.
        warnings: sentences. missing: sentences on benchmarks that only one side has.
    """

    config: GateConfig
    base: str
    candidate: str
    base_where: str
    candidate_where: str
    gates: tuple[Judged, ...]
    suite: SuiteResult
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """The verdict of each gate as it counts among the others, by its name; advisory gates keep their own."""
        counted = self.suite.gate_verdicts
        return {judged.result.gate: counted.get(judged.result.gate, judged.result.verdict) for judged in self.gates}

    @property
    def verdict(self) -> Verdict:
        """The verdict of the suite."""
        return self.suite.verdict

    @property
    def benchmarks(self) -> list[str]:
        """Labels of all benchmarks that were to be compared."""
        return list(dict.fromkeys(judged.benchmark for judged in self.gates if judged.benchmark))

    @property
    def uninformative(self) -> dict[str, str]:
        """The benchmarks on which the base has nothing to lose by their primary metric, each with the sentence."""
        return {judged.benchmark: judged.uninformative for judged in self.gates
                if judged.member.primary and judged.uninformative is not None}  # fmt: skip

    @property
    def designs(self) -> list[tuple[BenchmarkRun, SequentialDesign]]:
        """The candidate's run and design of each benchmark that could stop early or be extended."""
        runs = [p.candidate for p in self.pairs]
        found = [(run, design_of(run.facts, run.name)) for run in runs]
        return [(run, design) for run, design in found if design is not None]

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
            "uninformative": self.uninformative,
            "categories": {p.base.benchmark: rows for p in self.pairs if (rows := _categories(p))},
            TRAINED_ON: {p.base.benchmark: seen.to_json() for p in self.pairs if (seen := without_seen(p))},
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
            "base_test": None if judged.base_test is None else judged.base_test.to_json(),
            "base": judged.base,
            "candidate": judged.candidate,
            "p_holm": self.suite.p_holm.get(name),
            "verdict_in_family": self.verdicts[name].value,
        }


def _design_json(run: BenchmarkRun, design: SequentialDesign) -> dict[str, Any]:
    total = design.n_total
    return {**design.to_json(), "n": run.n, "n_total": total, "saved": total - run.n}


def _categories(found: Pair) -> list[dict[str, Any]]:
    """What changed in each category; empty where the benchmark has none."""
    return [loss.to_json() for loss in category_losses(found)]


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
