"""The gate in a pytest run: judges candidates against their baselines once everything has been measured.

Each gate becomes a test report of its own. Only the main process judges: under pytest-xdist it alone sees all answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slmsec.collection.cases import case_of
from pytest_slmsec.collection.parametrize import NO_DATA
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.core.exit_status import NOTHING_JUDGED
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import shown, wrapped
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.gates.records.baseline import merge
from pytest_slmsec.gates.records.comparisons import LIVE
from pytest_slmsec.gates.records.saved_runs import NUMBER, StoredDistances, read_json, stored_distances, stored_path
from pytest_slmsec.gating.early_stopping import EarlyStopping
from pytest_slmsec.gating.gated_run import GatedRun
from pytest_slmsec.gating.marker import ONE_PROCESS, gate_config, screen, with_marks
from pytest_slmsec.gating.pairing import baseline_of, comparisons_of
from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.tasks.base import Task

if TYPE_CHECKING:
    from pytest_slmsec.gates.decision.judgement import Judgement
    from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
    from pytest_slmsec.gating.kl_gate import Distances

PREFIX = "slmsec-gate::"
GATES_PASSED = "gates passed"
"""What pytest's closing line counts them as."""


class Gating:
    """Registered in the main process of a run with models, unless ``--slmsec-no-gate`` is given.

    Args:
        results: completed by the session. make_engine: loads a model while another one is loaded. ask: asks a model and
            journals its answers.

    Raises:
        UsageError: an option, the configuration or the baseline cannot be used.
    """

    def __init__(
        self, config: pytest.Config, settings: Settings, results: EvaluationResults,
        make_engine: Callable[[ModelSpec], Engine], ask: Callable[[ModelSpec, Sequence[Request], str], list[Output]],
    ) -> None:  # fmt: skip
        self._ask = ask
        self._config, self._settings, self._results, self._make_engine = config, settings, results, make_engine
        option, self.gate = config.option, gate_config(config)
        self.baseline = baseline_of(config, self.gate)
        self.judgements: list[Judgement] = []
        self.accepted: dict[str, Any] | None = None
        self.distances: Distances | None = None
        self._unmeasured: list[str] = []
        self._nothing_judged = self._judged_by_test = False
        self._written = ""
        self._check_options()
        self.comparisons = comparisons_of(config, settings.models, self.gate)
        self._check_pair_judge()
        self.stopping = EarlyStopping(self.gate, self.comparisons, results, settings)
        if self.stopping.wanted and getattr(option, "dist", "no") != "no":
            raise UsageError(ONE_PROCESS)

    @property
    def baseline_path(self) -> Path:
        """The file that ``--slmsec-update-baseline`` writes."""
        return self._config.rootpath / Path(str(self.baseline)).expanduser()

    def _check_options(self) -> None:
        option = self._config.option
        if (self.gate.speed_rounds or self.gate.fidelity) and getattr(option, "dist", "no") != "no":
            raise UsageError("[tool.slmsec.gate] throughput.rounds and fidelity load base and candidate side by side "
                             "in one process: leave out -n, or these.")  # fmt: skip
        if self.gate.memory_runs > 1 and getattr(option, "dist", "no") != "no":
            raise UsageError("[tool.slmsec.gate.memory] measures each peak a second time, in one process: leave out "
                             "-n, or set runs = 1, which makes memory advisory.")  # fmt: skip
        if option.slmsec_plan and getattr(option, "dist", "no") != "no":
            raise UsageError("--slmsec-plan runs nothing, so there is nothing to distribute: leave out -n.")
        if option.slmsec_force is not None and not option.slmsec_update_baseline:
            raise UsageError("--slmsec-force says why a baseline is updated: give --slmsec-update-baseline as well.")
        if not option.slmsec_update_baseline:
            return
        if self.baseline is None or self.baseline.startswith(LIVE) or NUMBER.fullmatch(self.baseline):
            raise UsageError("--slmsec-update-baseline needs a file to write: name it with --slmsec-baseline=FILE.")
        off = getattr(option, "benchmark_disable", True) and not getattr(option, "benchmark_enable", False)
        if off or option.benchmark_skip:
            raise UsageError("--slmsec-update-baseline needs pytest-benchmark, which is switched off.")
        try:
            self.baseline_path.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=self.baseline_path.parent):
                pass
        except OSError as error:
            raise UsageError(f"{self.baseline_path} cannot be written: {error.strerror}.") from None

    def _check_pair_judge(self) -> None:
        judge, option = self._settings.pair_judge, self._config.option
        if judge is None:
            return
        if getattr(option, "dist", "no") != "no":
            raise UsageError(f"--slmsec-pair-judge={judge.name} is asked in one process, which holds all answers: "
                             "leave out -n.")  # fmt: skip
        if not self.comparisons and not option.slmsec_update_baseline:
            raise UsageError(f"--slmsec-pair-judge={judge.name} compares a candidate with its base, and this run has "
                             "no such pair: name one with --model=BASE beside --model=BASE-QUANT, or with "
                             "--slmsec-baseline.")  # fmt: skip

    def pytest_report_collectionfinish(self, items: Sequence[pytest.Item]) -> list[str]:
        """Say which benchmarks are too small to PASS; with ``--slmsec-plan`` show the table of all."""
        plan = self._config.option.slmsec_plan
        if not plan and not self.comparisons:
            return []
        from pytest_slmsec.reports.gate.power_table import Planned, plan_table, remarks

        width, gate = screen(self._config), with_marks(self.gate, items)

        cases = [case for item in items if (case := case_of(item)) is not None]
        asked: dict[tuple[str, Task, ModelSpec], set[str | int]] = {}
        for case in cases:
            key = case.evaluation.label, case.evaluation.task, case.evaluation.model
            asked.setdefault(key, set()).add(case.evaluation.question(case.row))
        planned = {label: Planned(label, task, len(questions)) for (label, task, _), questions in asked.items()}
        if plan:
            return plan_table(list(planned.values()), gate, width, self._stored_bases(planned))
        if self._config.get_verbosity() < 0:
            return []
        return [line for text in remarks(list(planned.values()), gate) for line in wrapped(text, width)]

    def _stored_bases(self, labels: Collection[str]) -> list[BenchmarkRun]:
        """What is stored of the bases on some benchmarks, each once."""
        runs = [run for comparison in self.comparisons for run in comparison.stored_runs if run.benchmark in labels]
        return list({(run.model, run.benchmark): run for run in runs}.values())

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Remember why benchmarks were not measured at all, and whether a test judged by itself."""
        own = str(report.nodeid).startswith(PREFIX)
        self._judged_by_test |= not own and getattr(report, "slmsec_gate", None) is not None
        if report.skipped and str(report.nodeid).endswith(f"{NO_DATA}]") and isinstance(report.longrepr, tuple):
            self._unmeasured.append(str(report.longrepr[-1]).removeprefix("Skipped: "))

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Judge once everything has run; an interrupted or stopped run raises here and is not judged."""
        option = session.config.option
        if option.slmsec_plan:
            session.items.clear()
        result = yield
        if not (option.collectonly or option.setuponly or option.setupplan or option.slmsec_plan):
            self._judge(session)
        return result

    def _judge(self, session: pytest.Session) -> None:
        from pytest_slmsec.reports.gate.test_reports import GateReport, show

        found = list[GateReport]()
        if self._results or session.config.option.slmsec_update_baseline:
            from pytest_slmsec.gating.final_gates import FinalGates
            from pytest_slmsec.gating.kl_gate import Distances

            run = self._gated_run(session)
            self.distances = Distances(run, self._stored_distances(), self._is_saved)
            gates = FinalGates(run, self.comparisons, self.distances)
            for report in gates.reports():
                found.append(report)
                show(session, report)
            self.judgements, self.accepted = gates.judgements, gates.accepted
        told = any(report.outcome in ("failed", "error") for report in found)
        judged = bool(self.judgements or self.accepted or self._judged_by_test)
        if self._must_judge and not (judged or told) and session.testscollected:
            self._nothing_judged = True
            show(session, GateReport("suite", "error", self._why_nothing()))

    def _gated_run(self, session: pytest.Session) -> GatedRun:
        found = [case_of(item) for item in getattr(session, "items", [])]
        cases = [case for case in found if case is not None]
        engines_of_plugins = self._config.hook.pytest_slmsec_make_engine.get_hookimpls()
        child_settings = None if engines_of_plugins else self._settings.engine
        return GatedRun(self._config.option, self._settings, self.gate, self._results, cases, self._make_engine,
                        self._ask, child_settings)  # fmt: skip

    def _stored_distances(self) -> StoredDistances:
        """What the baseline holds of earlier distances."""
        if not self.comparisons or self.baseline is None or self.baseline.startswith(LIVE):
            return StoredDistances()
        return stored_distances(stored_path(self.baseline, self._config.rootpath))

    @property
    def _is_saved(self) -> bool:
        """Whether this run is written to a file that later runs can be compared with."""
        names = ("slmsec_update_baseline", "benchmark_json", "benchmark_autosave", "benchmark_save")
        return any(getattr(self._config.option, name, None) for name in names)

    @property
    def _must_judge(self) -> bool:
        """Whether a run that judges nothing is red: a verdict was asked for."""
        return self.baseline is not None or bool(self._config.option.slmsec_strict)

    def _why_nothing(self) -> str:
        """The sentence on a run that could judge nothing."""
        if not self.comparisons:
            why = "there is no base; name one with --model=BASE beside --model=BASE-QUANT, or with --slmsec-baseline"
        elif any(evaluated.rows for evaluated in self._results):
            why = "no benchmark was measured whole on both sides"
        else:
            skipped = f" ({len(self._unmeasured)} were skipped: {self._unmeasured[0]})" if self._unmeasured else ""
            why = f"no benchmark was measured{skipped}"
        return f"Nothing could be judged, which is no pass: {why.rstrip('.')}."

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Give a run whose only failure is that nothing could be judged an exit status of its own."""
        if self._nothing_judged and session.testsfailed == 1:
            session.exitstatus = NOTHING_JUDGED

    def write_baseline(self, session: pytest.Session, benchmarks: Any) -> None:
        """Take this run into the baseline, in the form in which pytest-benchmark saves it.

        Args:
            benchmarks: its session, which holds our entries by now.
        """
        config, path, entries = self._config, self.baseline_path, benchmarks.benchmarks
        content = config.hook.pytest_benchmark_generate_json(
            config=config, benchmarks=entries, include_data=True, machine_info=benchmarks.get_machine_info(),
            commit_info=config.hook.pytest_benchmark_generate_commit_info(config=config),
        )  # fmt: skip
        config.hook.pytest_benchmark_update_json(config=config, benchmarks=entries, output_json=content)
        try:
            merged = merge(read_json(path) if path.exists() else None, content, self.accepted or {})
            draft = path.with_name(f"{path.name}.draft")
            draft.write_text(json.dumps(merged.content, default=str), "utf-8")
            draft.replace(path)
        except (OSError, CompareError) as error:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._written = f"The baseline was not written: {error}"
            return
        parts = [f"{g.label} on {g.model} ({len(g.rows) - g.n_errors} of {g.n_expected} items)" for g in self._results
                 if not g.complete]  # fmt: skip
        left_out = f" Not written, for only a part was measured: {', '.join(parts)}." if parts else ""
        self._written = f"The baseline {path} was written. {merged.sentences}{left_out}"

    def pytest_report_teststatus(self, report: Any) -> tuple[str, str, Any] | None:
        """Gates have statuses of their own; FAIL and ERROR count as failures and errors do."""
        outcome = getattr(report, "slmsec_gate", None)
        if outcome is None or report.when == "teardown":
            return None
        if outcome == "inconclusive":
            return outcome, "?", ("GATE INCONCLUSIVE", {"yellow": True})
        if report.passed:
            return GATES_PASSED, "G", ("GATE PASSED", {"green": True})
        return ("failed", "F", ("GATE FAILED", {"red": True})) if outcome == "failed" else None

    @pytest.hookimpl(wrapper=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """The verdicts, below all else that this plugin prints."""
        if len(terminalreporter.stats.get(GATES_PASSED, ())) == 1:
            terminalreporter._add_stats("gate passed", terminalreporter.stats.pop(GATES_PASSED))
        try:
            return (yield)
        finally:
            if self._written:
                terminalreporter.section("slmsec baseline")
                for line in wrapped(shown(self._written), terminalreporter._tw.fullwidth, ""):
                    terminalreporter.write_line(line)
            if self.judgements:
                self._write_judgements(terminalreporter)

    def _write_judgements(self, reporter: Any) -> None:
        """What was found about each candidate with its verdict, and of several candidates all verdicts once more."""
        from pytest_slmsec.reports.gate.text import findings

        for judgement in self.judgements:
            reporter.section("slmsec gate")
            for line in findings(judgement, reporter._tw.fullwidth, reporter.verbosity > 0):
                reporter.write_line(line)
            reporter.write_line("")
            _write_verdict(reporter, judgement)
        if len(self.judgements) > 1:
            reporter.section("slmsec verdicts")
            for judgement in self.judgements:
                _write_verdict(reporter, judgement)


def _write_verdict(reporter: Any, judgement: Judgement) -> None:
    from pytest_slmsec.reports.gate.text import verdict_lines

    colours = {"PASS": {"green": True}, "INCONCLUSIVE": {}}  # yellow cannot be read on white
    for line in verdict_lines(judgement, reporter._tw.fullwidth):
        reporter.write_line(line, bold=True, **colours.get(judgement.verdict.value, {"red": True}))
