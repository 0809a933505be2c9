"""A gate as a test of its own: the fixture `slm_pair`, for a test that is marked ``slmsec_gate("cti-rcm", ...)``."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slmsec.collection.cases import Evaluation
from pytest_slmsec.collection.ids import model_id, safe_id
from pytest_slmsec.collection.parametrize import NO_DATA, NO_MODEL, TakesWhole, make_evaluation
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import DataUnavailable, ModelError, SlmsecError, UsageError
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.records.comparisons import Comparison
from pytest_slmsec.gating.marker import GATE_MARKER, fits, gate_config, rule_of, screen
from pytest_slmsec.gating.pairing import FIXTURE, PairCase, comparisons_of
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.registry import find_task

if TYPE_CHECKING:
    from pytest_slmsec.gates.decision.judgement import Judgement
    from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
    from pytest_slmsec.gating.pair_runs import PairRuns

NO_BASE = "no base to judge against: name one with --model=BASE beside --model=BASE-QUANT, or with --slmsec-baseline"
NO_GATE = "--slmsec-no-gate judges nothing"


def parametrize_pairs(metafunc: pytest.Metafunc, settings: Settings, takes_whole: TakesWhole | None = None) -> None:
    """Parametrise a test with the fixture `slm_pair` over all candidates; without a candidate it is skipped once.

    Raises:
        pytest.Collector.CollectError: the marker, the baseline or a data file cannot be used.
    """
    if FIXTURE not in metafunc.fixturenames:
        return
    item: Any = metafunc.definition
    try:
        task, gate = _task_of(item), gate_config(metafunc.config)
        params = _params(metafunc.config, task, settings, gate, takes_whole)
        for case in [param for param in params if isinstance(param, PairCase)]:
            fits(rule_of(item, case.candidate, gate), case.candidate.label, task)
    except SlmsecError as error:
        raise pytest.Collector.CollectError(str(error)) from None
    metafunc.parametrize(FIXTURE, params, ids=[_id(param) for param in params], indirect=True)


def _task_of(item: Any) -> Task:
    marker = item.get_closest_marker(GATE_MARKER)
    if marker is None or len(marker.args) != 1 or not isinstance(marker.args[0], (str, Task)):
        raise UsageError(f"{item.nodeid} takes the fixture {FIXTURE}: name its benchmark, as in "
                         f"@pytest.mark.{GATE_MARKER}('cti-rcm', max_drop='2pt').")  # fmt: skip
    (benchmark,) = marker.args
    return benchmark if isinstance(benchmark, Task) else find_task(benchmark)


def _params(
    config: pytest.Config, task: Task, settings: Settings, gate: GateConfig, takes_whole: TakesWhole | None
) -> list[Any]:
    if not settings.models or config.option.slmsec_no_gate:
        return [_skip(NO_GATE, "no-gate") if settings.models else _skip(NO_MODEL, "no-model")]
    comparisons = comparisons_of(config, settings.models, gate)
    return [_pair(comparison, task, settings, takes_whole) for comparison in comparisons] or [_skip(NO_BASE, "no-base")]


def _pair(comparison: Comparison, task: Task, settings: Settings, takes_whole: TakesWhole | None) -> Any:
    try:
        base = (
            None
            if comparison.live_baseline is None
            else make_evaluation(task, comparison.live_baseline, settings, takes_whole)
        )
        return PairCase(comparison, make_evaluation(task, comparison.candidate, settings, takes_whole), base)
    except DataUnavailable as error:
        return _skip(str(error), f"{model_id(comparison.candidate)}-{NO_DATA}")


def _skip(reason: str, name: str) -> Any:
    return pytest.param(None, marks=pytest.mark.skip(reason=reason), id=name)


def _id(param: Any) -> str | None:
    if not isinstance(param, PairCase):
        return None
    return f"{model_id(param.comparison.candidate)}-{safe_id(param.candidate.label)}"


class SlmPair:
    """What the fixture `slm_pair` gives a test: one benchmark, on a candidate and its base.

    Attributes:
        benchmark, candidate, base: their names. judgement: the verdict with all its gates, once `run` was called.
    """

    def __init__(self, runs: PairRuns, data: str | None, case: PairCase, item: pytest.Item) -> None:
        self._runs, self._data, self._case, self._item = runs, data, case, item
        self.benchmark, self.candidate = case.candidate.label, case.comparison.candidate.name
        self.base = (
            case.comparison.stored_runs[0].model
            if case.comparison.live_baseline is None
            else case.comparison.live_baseline.name
        )
        self.judgement: Judgement | None = None

    def run(self) -> Judgement:
        """Measure what has not been measured, and judge the candidate: the test fails where the verdict says so.

        PASS passes and FAIL fails with the numbers; INCONCLUSIVE passes with the status ``inconclusive``, fails or is
        skipped, as the configuration wants it; ERROR is an error.

        Returns:
            The judgement, where the test goes on.
        """
        from pytest_slmsec.gates.decision.decide import judge
        from pytest_slmsec.gating.score_check import Rescorer
        from pytest_slmsec.reports.gate.properties import pair_properties

        config = self._item.config
        gate = gate_config(config)
        rule = rule_of(self._item, self._case.candidate, gate)
        gate = replace(gate, rules={**gate.rules, self.benchmark: rule})
        task = self._case.candidate.task
        rescorer = Rescorer(self._data, {task.name: task})
        try:
            bases, candidates = self._measure(gate)
            found = judge(bases, candidates, gate, date.today(), lambda run: rescorer(run) if run in bases else [])
        except SlmsecError as error:
            pytest.fail(str(error), pytrace=False)
        self.judgement = found
        self._item.user_properties += pair_properties(found).items()
        self._conclude(found, gate)
        return found

    def _measure(self, gate: GateConfig) -> tuple[list[BenchmarkRun], list[BenchmarkRun]]:
        """Base and candidate, as many items as the gate needs."""
        design = self._runs.design(self._case.candidate)
        staged = self._case.base is not None and self._runs.design(self._case.base) is not None
        bases = [] if staged else self._bases(None)
        for look in design.interim_looks if design is not None else (None,):
            bases = self._bases(look) if staged else bases
            candidate = self._run(self._case.candidate, look)
            if design is not None and look != design.n_total and self._decided(bases, candidate, gate):
                break
        return bases, [candidate]

    def _decided(self, bases: Sequence[BenchmarkRun], candidate: BenchmarkRun, gate: GateConfig) -> bool:
        from pytest_slmsec.gates.decision.combine import early_verdict
        from pytest_slmsec.gates.decision.score_gates import score_gates
        from pytest_slmsec.gates.records.comparability import pair, restricted

        try:
            found = pair(restricted(bases[0], candidate), candidate)
            return early_verdict(score_gates(found, gate), 1) is not None
        except SlmsecError:
            return False  # not comparable: the judgement says why

    def _bases(self, look: int | None) -> list[BenchmarkRun]:
        if self._case.base is not None:
            return [self._run(self._case.base, look)]
        stored = list(self._case.comparison.stored_runs)
        return [run for run in stored if run.benchmark == self.benchmark] or stored

    def _run(self, evaluation: Evaluation, first: int | None) -> BenchmarkRun:
        """An evaluation, measured: all of it, or its first items.

        Raises:
            SlmsecError: it cannot be measured, or an item of it was not.
        """
        from pytest_slmsec.meters.device import machine_facts
        from pytest_slmsec.reports.gate.live_runs import live_run
        from pytest_slmsec.reports.gate.test_reports import incomplete

        measured = self._runs.measured(evaluation, self._item, first)
        part = measured.judged
        if part is None:
            raise ModelError(incomplete(measured))
        return live_run(part, machine_facts())

    def _conclude(self, found: Judgement, gate: GateConfig) -> None:
        from pytest_slmsec.gates.statistics.result import Verdict
        from pytest_slmsec.reports.gate.text import report

        text = report(found, screen(self._item.config), self._item.config.get_verbosity() > 0)
        if found.verdict is Verdict.INCONCLUSIVE and gate.on_inconclusive == "skip":
            pytest.skip(f"SUITE: INCONCLUSIVE. {' '.join(found.suite.reasons)}")
        undecided = found.verdict is Verdict.INCONCLUSIVE and gate.on_inconclusive != "fail"
        if found.verdict is not Verdict.PASS and not undecided:
            said = " ".join([f"SUITE: {found.verdict.value}.", *found.suite.reasons])
            pytest.fail(f"{said}\n\n{text}", pytrace=False)
        self._item.add_report_section("call", "slmsec gate", text)


class PairReports:
    """Gives the test of a pair the status of its verdict."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, Any, pytest.TestReport]:
        """PASS, FAIL, INCONCLUSIVE and ERROR, as the gates of a run have them."""
        report = yield
        pair = getattr(item, "funcargs", {}).get(FIXTURE)
        if call.when != "call" or not isinstance(pair, SlmPair):
            return report  # type: ignore[no-any-return]
        if pair.judgement is None:
            if report.passed:
                report.outcome = "failed"
                report.longrepr = f"{item.nodeid} never called {FIXTURE}.run(): nothing was judged."
            return report  # type: ignore[no-any-return]
        verdict = pair.judgement.verdict.value
        if verdict == "ERROR" and report.failed:
            report.when, report.slmsec_gate = "setup", "error"  # an error is what a broken set-up is to pytest
        elif not report.skipped:
            report.slmsec_gate = {"PASS": "passed", "INCONCLUSIVE": "inconclusive"}.get(verdict, "failed")
            if report.failed:
                report.slmsec_gate = "failed"
        return report  # type: ignore[no-any-return]
