"""The KL gate of a run: which models are compared on which answers, and what is kept for later runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.core.errors import CompareError, SlmsecError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.gates.decision.cost_gates import KL, broken, live_fidelity
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.records.comparisons import Comparison, is_plain
from pytest_slmsec.gates.records.saved_runs import StoredDistances
from pytest_slmsec.gates.records.topk_distributions import from_plain, to_plain
from pytest_slmsec.gating.gated_run import GatedRun
from pytest_slmsec.gating.kl_measurement import (
    Distance,
    forced,
    judged_distance,
    keep,
    kl_budget,
    measure_kl,
    measure_kl_to,
)
from pytest_slmsec.reports.gate.test_reports import GateReport


def measures_quantising(candidate: ModelSpec, base: ModelSpec | None) -> bool:
    """Whether the distance of a candidate from its base shows what quantising changed.

    It does where both have the same adapter: an adapter is meant to change what a model says.

    Args:
        base: None where the baseline holds the distributions of the plain base, without an adapter.
    """
    adapter = None if base is None else base.adapter
    return candidate.quant is not None and candidate.adapter == adapter


@dataclass
class Distances:
    """Measures how far next-token distributions lie apart, where a table ``[tool.slmsec.gate.fidelity]`` wants it.

    Attributes:
        run: the finished run. stored: distances and distributions of the baseline.
        is_saved: this run is written to a file, so its distributions are kept for later runs.
        records: distances measured, and `tops`: distributions kept, both by model, as plain data.
    """

    run: GatedRun
    stored: StoredDistances
    is_saved: bool
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    tops: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def judged(self, comparison: Comparison) -> Judged | None:
        """The gate on a candidate: against its base in this run, else against the distributions in the baseline."""
        wanted, candidate, baseline = self.run.gate.fidelity, comparison.candidate, comparison.baseline
        if wanted is None or not measures_quantising(candidate, baseline):
            return None
        try:
            measured = self._from_stored(candidate) if baseline is None else self._from_model(baseline, candidate)
            if measured is None:
                return None
            update = bool(self.run.option.slmsec_update_baseline)
            budget = kl_budget(wanted, candidate, self.stored.records.get(candidate.name), measured, update)
        except SlmsecError as error:
            return live_fidelity(broken(KL, 0.0, (str(error),)), wanted.blocks)
        self.records[candidate.name] = measured.record(candidate.base)
        return judged_distance(measured, budget, self.run.gate, wanted)

    def _from_model(self, base: ModelSpec, candidate: ModelSpec) -> Distance | None:
        answers = self._answers(base)
        if not answers:
            return None
        measured = measure_kl(base, candidate, self.run.make_engine, list(answers.values()))
        return replace(measured, asked=tuple(answers))

    def _from_stored(self, candidate: ModelSpec) -> Distance | None:
        """The distance from the distributions that the baseline holds of the base.

        Raises:
            CompareError: it kept none, or they are damaged.
        """
        kept = [from_plain(record, self.stored.where) for record in self.stored.tops.get(candidate.base, ())]
        if not kept:
            raise CompareError(f"{self.stored.where} keeps no distributions of {candidate.base}: name it in this run, "
                               f"--model={candidate.base}, or store it anew with the table "
                               "[tool.slmsec.gate.fidelity].")  # fmt: skip
        mine = [case for case in self.run.cases if case.evaluation.model == candidate]
        items = {(case.evaluation.label, case.item.id): case.item for case in mine}
        known = [(one, items[one.benchmark, one.item]) for one in kept if (one.benchmark, one.item) in items]
        if not known:
            return None
        asked = tuple((one.benchmark, one.item) for one, _ in known)
        return replace(measure_kl_to(known, candidate, self.run.make_engine), asked=asked)

    def _answers(self, base: ModelSpec) -> Mapping[tuple[str, str], Any]:
        assert self.run.gate.fidelity is not None
        texts = {(evaluated.label, str(row["item"])): row["text"] or "" for evaluated in self.run.results
                 if evaluated.model == base.name for row in evaluated.measured()}  # fmt: skip
        return forced(self.run.cases, texts, self.run.gate.fidelity.items)

    def keep(self) -> Iterable[GateReport]:
        """Keep the distributions of every plain model along its own answers, for candidates of later runs."""
        if self.run.gate.fidelity is None or not self.is_saved:
            return
        for model in self.run.models:
            answers = self._answers(model) if is_plain(model) else {}
            if not answers:
                continue
            try:
                self.tops[model.name] = [to_plain(one) for one in keep(model, self.run.make_engine, answers)]
            except SlmsecError as error:
                text = f"No distributions of {model.name} are kept: {error}"
                yield GateReport(f"distributions[{model_id(model)}]", "skipped", text)
