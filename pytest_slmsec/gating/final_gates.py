"""Judges every candidate at the end of a run, and writes what was asked for."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pytest_slmsec.collection.ids import model_id, safe_id
from pytest_slmsec.core.errors import CompareError, SlmsecError, UsageError
from pytest_slmsec.core.items import Score
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.gates.decision.cost_gates import SPEED, broken, live_speed
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.policy.config import read_rule
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparisons import Comparison
from pytest_slmsec.gates.statistics.result import TIME, Verdict
from pytest_slmsec.gates.statistics.size_threshold import MINIMUM_RUNS
from pytest_slmsec.gating.gated_run import GatedRun
from pytest_slmsec.gating.kl_gate import Distances
from pytest_slmsec.gating.memory_measurement import measure_again
from pytest_slmsec.gating.pair_judge import judge_pairs
from pytest_slmsec.gating.score_check import Rescorer
from pytest_slmsec.gating.speed_measurement import measure_speed, workload
from pytest_slmsec.meters.device import machine_facts
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.gate.json_files import write_results
from pytest_slmsec.reports.gate.live_runs import HERE, live_run
from pytest_slmsec.reports.gate.markdown import MOST_BYTES, markdown
from pytest_slmsec.reports.gate.test_reports import GateReport, gate_reports, incomplete

STEP_SUMMARY = "GITHUB_STEP_SUMMARY"


class FinalGates:
    """Judges every candidate of a finished run once.

    Args:
        run: the finished run. comparisons: each candidate with its baseline. distances: measures KL, where wanted.

    Attributes:
        judgements: one a candidate that could be judged. accepted: why this run becomes the new baseline, or None.
    """

    def __init__(self, run: GatedRun, comparisons: Sequence[Comparison], distances: Distances) -> None:
        self._run, self._comparisons, self._distances = run, comparisons, distances
        self._gate = run.gate
        self._machine = machine_facts()
        self.judgements: list[Judgement] = []
        self.accepted: dict[str, Any] | None = None

    def reports(self) -> Iterable[GateReport]:
        """Judge every candidate, write what was asked for, and decide on the baseline; a report each."""
        try:
            self._read_markers()
        except UsageError as error:
            yield GateReport("configuration", "error", str(error))
            return
        yield from judge_pairs(self._run, self._comparisons)
        yield from self._measure_memory_again()
        for comparison in self._comparisons:
            yield from self._judge(comparison)
        yield from self._distances.keep()
        yield from self._write()
        if self._run.option.slmsec_update_baseline:
            yield self._accept()

    def _measure_memory_again(self) -> Iterable[GateReport]:
        """Measure the peak memory of every model again, where memory is part of the verdict."""
        if self._gate.memory_runs < MINIMUM_RUNS:
            return
        for model in self._run.models:
            try:
                measure_again(model, self._run)
            except (SlmsecError, RuntimeError) as error:
                text = f"{model.name} could not be run again for its peak of memory: {error}"
                yield GateReport(f"peak_memory[{model_id(model)}]", "error", text)

    def _read_markers(self) -> None:
        """Add the rules of the marker ``slmsec_gate``; they take precedence over those of the configuration."""
        rules = {
            evaluated.label: read_rule(evaluated.header["gate"], f"{evaluated.header['file']} @pytest.mark.slmsec_gate")
            for evaluated in self._run.results
            if evaluated.header.get("gate")
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
        for evaluated in partial:
            yield GateReport(f"benchmark[{model}-{safe_id(evaluated.label)}]", "skipped", incomplete(evaluated))
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
        """With ``on_inconclusive = "extend"``: why undecided benchmarks were not extended."""
        if not self._gate.extend or found.verdict is not Verdict.INCONCLUSIVE:
            return []
        open_ones = {judged.benchmark for judged in found.gates if judged.benchmark and not judged.advisory
                     and judged.result.verdict is Verdict.INCONCLUSIVE}  # fmt: skip
        return [f"{pair.base.benchmark}: on_inconclusive = \"extend\", but {_nothing_left(pair.candidate)}"
                for pair in found.pairs if pair.base.benchmark in open_ones]  # fmt: skip

    def _live(self, comparison: Comparison) -> list[Judged]:
        """The gates that are measured with both models loaded."""
        found = (self._distances.judged(comparison), self._speed(comparison))
        return [judged for judged in found if judged is not None]

    def _speed(self, comparison: Comparison) -> Judged | None:
        """The speed of base and candidate in turns, where that is wanted and both are models of this run."""
        rounds, base = self._gate.speed_rounds, comparison.baseline
        if rounds is None or base is None:
            return None
        requests = workload(self._run.cases)
        if not requests:
            return None
        try:
            speed = measure_speed(base, comparison.candidate, self._run.make_engine, requests, self._gate, rounds)
        except SlmsecError as error:
            return live_speed(broken(SPEED, self._gate.max_slowdown, (str(error),), TIME), None, None)
        return live_speed(speed.result, speed.base_tokens_per_s, speed.candidate_tokens_per_s)

    def _runs(self, spec: ModelSpec) -> tuple[list[EvaluationResult], list[BenchmarkRun]]:
        """The results of a model that are incomplete, and the runs of those that can be judged."""
        mine = [(evaluated, evaluated.judged) for evaluated in self._run.results if evaluated.model == spec.name]
        return [g for g, part in mine if part is None], [live_run(part, self._machine) for _, part in mine if part]

    def _rescore(self, run: BenchmarkRun) -> list[Score] | str:
        """Check stored scores against today's scorers. Those of this run were made by them, so they are not checked."""
        return [] if run.where == HERE else Rescorer(self._run.settings.data, self._run.tasks)(run)

    def _write(self) -> Iterable[GateReport]:
        option = self._run.option
        json_file, flips_file = (Path(name) if name else None for name in (option.slmsec_json, option.slmsec_flips))
        try:
            write_results(self.judgements, json_file, flips_file)
        except CompareError as error:
            yield GateReport("results", "error", str(error))
        summary = os.environ.get(STEP_SUMMARY)
        if summary and self.judgements:
            try:
                with Path(summary).open("a", encoding="utf-8") as file:
                    file.write(markdown(self.judgements, list(self._run.results), MOST_BYTES - file.tell()))
            except OSError as error:
                yield GateReport("results", "error", f"{STEP_SUMMARY}={summary} cannot be written: {error.strerror}.")

    def _accept(self) -> GateReport:
        """Whether this run becomes the new baseline; it is written at the end of the session."""
        verdicts = {judgement.candidate: judgement.verdict.value for judgement in self.judgements}
        refused = [f"{name} is {verdict}" for name, verdict in verdicts.items() if verdict != Verdict.PASS.value]
        whole = {evaluated.model for evaluated in self._run.results if evaluated.complete}
        names = [comparison.candidate.name for comparison in self._comparisons]
        refused += [f"{name} could not be judged" for name in names if name in whole and name not in verdicts]
        partial = [evaluated for evaluated in self._run.results if not evaluated.complete]
        reason = self._run.option.slmsec_force
        stopped = [f"{evaluated.label} on {evaluated.model}" for evaluated in partial if evaluated.stopped]
        if stopped:
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
            f"This run is accepted into the baseline {self._run.option.slmsec_baseline or self._gate.baseline}.",
        )


def _nothing_left(run: BenchmarkRun) -> str:
    """Why a benchmark has no further items to ask."""
    if "@" in run.benchmark and run.facts.get("early_stop") is None:
        return f"the base was measured on these {run.n:,} items only."
    return f"all {run.n:,} items have been judged: there is nothing left to extend."
