"""What happens at the end of a run that has a base: judging, and what is written about it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.collection.ids import model_id, safe_id
from pytest_slmsec.core.errors import CompareError, SlmsecError, UsageError
from pytest_slmsec.core.items import Score
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.gates.decision.cost_gates import SPEED, broken, live_speed
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.decision.score_gates import Judged
from pytest_slmsec.gates.policy.config import GateConfig, read_rule
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparisons import Comparison
from pytest_slmsec.gates.statistics.result import TIME, Verdict
from pytest_slmsec.gates.statistics.size_threshold import MINIMUM_RUNS
from pytest_slmsec.gating.kl_gate import Distances
from pytest_slmsec.gating.memory_measurement import measure_again
from pytest_slmsec.gating.score_check import Rescorer
from pytest_slmsec.gating.speed_measurement import measure_speed, workload
from pytest_slmsec.meters.device import machine_facts
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults
from pytest_slmsec.reports.gate.json_files import write_results
from pytest_slmsec.reports.gate.live_runs import HERE, live_run
from pytest_slmsec.reports.gate.markdown import markdown
from pytest_slmsec.reports.gate.test_reports import GateReport, gate_reports, incomplete
from pytest_slmsec.tasks.base import Task

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


class Judging:
    """Judges every candidate of a finished run once.

    Args:
        option: values of the command line. gate: what is tolerated. comparisons: who against whom.
        groups: everything measured. data: folder of the published files, or None. own: the user's own benchmarks.
        make_engine: loads a model beside another one. cases: everything selected.
        window: items handed to the engine at a time. alone: how another process loads a model; None: it cannot.
        distances: measures how far distributions lie apart.

    Attributes:
        judgements: what was found. accepted: why this run becomes the new baseline, or None.
    """

    def __init__(
        self, option: Any, gate: GateConfig, comparisons: Sequence[Comparison], groups: EvaluationResults,
        data: str | None, own: Mapping[str, Task], make_engine: Callable[[ModelSpec], Engine], cases: Sequence[Case],
        distances: Distances, window: int, alone: EngineSettings | None,
    ) -> None:  # fmt: skip
        self._option, self._gate, self._comparisons = option, gate, comparisons
        self._groups, self._data, self._own = groups, data, own
        self._make_engine, self._cases = make_engine, cases
        self._window, self._alone = window, alone
        self._machine = machine_facts()
        self.judgements: list[Judgement] = []
        self.accepted: dict[str, Any] | None = None
        self.distances = distances

    def reports(self) -> Iterable[GateReport]:
        """Judge every candidate, write what was asked for, and decide on the baseline; a report each."""
        try:
            self._read_markers()
        except UsageError as error:
            yield GateReport("configuration", "error", str(error))
            return
        yield from self._again()
        for comparison in self._comparisons:
            yield from self._judge(comparison)
        yield from self.distances.keep()
        yield from self._write()
        if self._option.slmsec_update_baseline:
            yield self._accept()

    def _again(self) -> Iterable[GateReport]:
        """The peak of memory of every model once more, where memory has a say."""
        if self._gate.memory_runs < MINIMUM_RUNS:
            return
        for model in dict.fromkeys(case.evaluation.model for case in self._cases):
            try:
                measure_again(model, self._groups, self._cases, self._make_engine, self._window, self._alone)
            except (SlmsecError, RuntimeError) as error:
                text = f"{model.name} could not be run again for its peak of memory: {error}"
                yield GateReport(f"peak_memory[{model_id(model)}]", "error", text)

    def _read_markers(self) -> None:
        """Rules given by the marker ``slmsec_gate`` go before those of the configuration."""
        rules = {
            group.label: read_rule(group.header["gate"], f"{group.header['file']} @pytest.mark.slmsec_gate")
            for group in self._groups
            if group.header.get("gate")
        }
        self._gate = replace(self._gate, rules={**self._gate.rules, **rules})

    def _judge(self, comparison: Comparison) -> Iterable[GateReport]:
        model = model_id(comparison.candidate)
        partial, candidates = self._runs(comparison.candidate)
        if comparison.live_baseline is None:
            bases = list(comparison.stored_runs)
        else:
            more, bases = self._runs(comparison.live_baseline)
            partial += more
        for group in partial:
            yield GateReport(f"benchmark[{model}-{safe_id(group.label)}]", "skipped", incomplete(group))
        if not candidates or not bases:
            return
        try:
            found = judge(bases, candidates, self._gate, date.today(), self._rescore, self._live(comparison))
        except SlmsecError as error:
            yield GateReport(f"suite[{model}]", "error", str(error))
            return
        found = replace(found, warnings=(*found.warnings, *self._not_extended(found)))
        self.judgements.append(found)
        yield from gate_reports(found, model, bool(partial))

    def _not_extended(self, found: Judgement) -> list[str]:
        """Why benchmarks that are not decided were not extended, where that is wanted."""
        if not self._gate.extend or found.verdict is not Verdict.INCONCLUSIVE:
            return []
        open_ones = {judged.benchmark for judged in found.gates if judged.benchmark and not judged.advisory
                     and judged.result.verdict is Verdict.INCONCLUSIVE}  # fmt: skip
        return [f"{pair.base.benchmark}: on_inconclusive = \"extend\", but {_nothing_left(pair.candidate)}"
                for pair in found.pairs if pair.base.benchmark in open_ones]  # fmt: skip

    def _live(self, comparison: Comparison) -> list[Judged]:
        """What is measured with both models loaded."""
        return [judged for judged in (self.distances.judged(comparison), self._speed(comparison)) if judged is not None]

    def _speed(self, comparison: Comparison) -> Judged | None:
        """Base and candidate in turns, where that is wanted and both are models of this run."""
        rounds = self._gate.speed_rounds
        requests = workload(self._cases) if rounds and comparison.baseline is not None else []
        if rounds is None or comparison.baseline is None or not requests:
            return None
        try:
            base, candidate = comparison.baseline, comparison.candidate
            speed = measure_speed(base, candidate, self._make_engine, requests, self._gate, rounds)
        except SlmsecError as error:
            return live_speed(broken(SPEED, self._gate.max_slowdown, (str(error),), TIME), None, None)
        return live_speed(speed.result, speed.base_tokens_per_s, speed.candidate_tokens_per_s)

    def _runs(self, spec: ModelSpec) -> tuple[list[EvaluationResult], list[BenchmarkRun]]:
        """The results of a model that are incomplete, and the runs of those that can be judged."""
        mine = [(group, group.judged) for group in self._groups if group.model == spec.name]
        return [g for g, part in mine if part is None], [live_run(part, self._machine) for _, part in mine if part]

    def _rescore(self, run: BenchmarkRun) -> list[Score] | str:
        """Stored scores are checked against today's scorers; those of this run were made by them."""
        return [] if run.where == HERE else Rescorer(self._data, self._own)(run)

    def _write(self) -> Iterable[GateReport]:
        option = self._option
        json_file, flips_file = (Path(name) if name else None for name in (option.slmsec_json, option.slmsec_flips))
        try:
            write_results(self.judgements, json_file, flips_file)
        except CompareError as error:
            yield GateReport("results", "error", str(error))
        if (summary := os.environ.get(STEP_SUMMARY)) and self.judgements:
            try:
                with Path(summary).open("a", encoding="utf-8") as file:
                    file.write(markdown(self.judgements))
            except OSError as error:
                yield GateReport("results", "error", f"{STEP_SUMMARY}={summary} cannot be written: {error.strerror}.")

    def _accept(self) -> GateReport:
        """Whether this run becomes the new baseline; it is written at the end of the session."""
        verdicts = {judgement.candidate: judgement.verdict.value for judgement in self.judgements}
        refused = [f"{name} is {verdict}" for name, verdict in verdicts.items() if verdict != Verdict.PASS.value]
        whole = {group.model for group in self._groups if group.complete}
        names = [comparison.candidate.name for comparison in self._comparisons]
        refused += [f"{name} could not be judged" for name in names if name in whole and name not in verdicts]
        partial = [group for group in self._groups if not group.complete]
        reason = self._option.slmsec_force
        if stopped := [f"{group.label} on {group.model}" for group in partial if group.stopped]:
            text = f"The baseline was not updated: {stopped[0]} stopped early, and a base is measured whole"
            return GateReport("baseline", "failed", f'{text}; set early_stop = "off".')
        if not whole:
            why = incomplete(partial[0]) if partial else "nothing was measured."
            return GateReport("baseline", "failed", f"The baseline was not updated: {why}")
        if refused and not reason:
            text = f"The baseline was not updated: {', '.join(refused)}. To accept this run all the same, say why: "
            return GateReport("baseline", "failed", f'{text}--slmsec-force "REASON".')
        self.accepted = {"date": date.today().isoformat(), "verdicts": verdicts, "reason": reason}
        return GateReport(
            "baseline",
            "passed",
            f"This run is accepted into the baseline {self._option.slmsec_baseline or self._gate.baseline}.",
        )


def _nothing_left(run: BenchmarkRun) -> str:
    """Why a benchmark has no further items to ask."""
    if "@" in run.benchmark and run.facts.get("early_stop") is None:
        return f"the base was measured on these {run.n:,} items only."
    return f"all {run.n:,} items have been judged: there is nothing left to extend."
