"""The distance of distributions in a run: which models are compared along which answers, and what is stored of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.core.errors import CompareError, SlmsecError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.gates.decision.cost_gates import KL, broken, live_fidelity
from pytest_slmsec.gates.decision.score_gates import Judged
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.records.comparisons import Comparison, is_plain
from pytest_slmsec.gates.records.saved_runs import StoredDistances
from pytest_slmsec.gates.records.topk_distributions import from_plain, to_plain
from pytest_slmsec.gating.kl_measurement import forced, judged_distance, keep, kl_budget, measure_kl, measure_kl_to
from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.reports.gate.test_reports import GateReport


def measures_quantising(candidate: ModelSpec, base: ModelSpec | None) -> bool:
    """Whether a distance from the base says what quantising cost: an adapter is there to change what the model says.

    Args:
        base: None where only what the baseline kept of the plain base is known.
    """
    return candidate.quant is not None and (candidate.adapter == base.adapter if base else candidate.adapter is None)


@dataclass
class Distances:
    """Measures and keeps distances, where a table ``[tool.slmsec.gate.fidelity]`` wants them.

    Attributes:
        groups: everything measured. cases: everything selected. make_engine: loads a model beside another one.
        stored: what the baseline holds. update: the baseline is updated. stores: this run is written to a file.
        records: distances measured, and `tops`: distributions kept, both by model, as plain data.
    """

    gate: GateConfig
    groups: EvaluationResults
    cases: Sequence[Case]
    make_engine: Callable[[ModelSpec], Engine]
    stored: StoredDistances
    update: bool
    stores: bool
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    tops: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def judged(self, comparison: Comparison) -> Judged | None:
        """The gate on a candidate: beside its base, where the run has that, else along what the baseline kept of it."""
        wanted, candidate, baseline = self.gate.fidelity, comparison.candidate, comparison.baseline
        if wanted is None or not measures_quantising(candidate, baseline):
            return None
        try:
            measured = self._along(candidate) if baseline is None else self._beside(baseline, candidate)
            if measured is None:
                return None
            budget = kl_budget(wanted, candidate, self.stored.records.get(candidate.name), measured, self.update)
        except SlmsecError as error:
            return live_fidelity(broken(KL, 0.0, (str(error),)), wanted.blocks)
        self.records[candidate.name] = measured.record(candidate.base)
        return judged_distance(measured, budget, self.gate, wanted)

    def _beside(self, base: ModelSpec, candidate: ModelSpec) -> Any:
        requests = list(self._answers(base).values())
        return measure_kl(base, candidate, self.make_engine, requests) if requests else None

    def _along(self, candidate: ModelSpec) -> Any:
        """Along the answers that the baseline kept of the base.

        Raises:
            CompareError: it kept none, or they are damaged.
        """
        kept = [from_plain(record, self.stored.where) for record in self.stored.tops.get(candidate.base, ())]
        if not kept:
            raise CompareError(f"{self.stored.where} keeps no distributions of {candidate.base}: name it in this run, "
                               f"--model={candidate.base}, or store it anew with the table "
                               "[tool.slmsec.gate.fidelity].")  # fmt: skip
        mine = [case for case in self.cases if case.evaluation.model == candidate]
        items = {(case.evaluation.label, case.item.id): case.item for case in mine}
        known = [(one, items[one.benchmark, one.item]) for one in kept if (one.benchmark, one.item) in items]
        return measure_kl_to(known, candidate, self.make_engine) if known else None

    def _answers(self, base: ModelSpec) -> Mapping[tuple[str, str], Any]:
        assert self.gate.fidelity is not None
        texts = {(group.label, str(row["item"])): row["text"] or "" for group in self.groups
                 if group.model == base.name for row in group.measured()}  # fmt: skip
        return forced(self.cases, texts, self.gate.fidelity.items)

    def keep(self) -> Iterable[GateReport]:
        """Keep the distributions of every plain model along its own answers, for candidates of later runs."""
        if self.gate.fidelity is None or not self.stores:
            return
        for model in dict.fromkeys(case.evaluation.model for case in self.cases):
            answers = self._answers(model) if is_plain(model) else {}
            if not answers:
                continue
            try:
                self.tops[model.name] = [to_plain(one) for one in keep(model, self.make_engine, answers)]
            except SlmsecError as error:
                text = f"No distributions of {model.name} are kept: {error}"
                yield GateReport(f"distributions[{model_id(model)}]", "skipped", text)
