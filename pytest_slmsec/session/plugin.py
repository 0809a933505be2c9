"""What the plugin keeps and does during one pytest session in which models were named."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from pytest_slmsec.collection.cases import MARKER, Case, Evaluation, NoItems, case_of, no_items_of, unfit_of
from pytest_slmsec.collection.windows import together
from pytest_slmsec.config.options import PLUGIN_OPTIONS
from pytest_slmsec.config.settings import Settings, read_settings
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.errors import DataUnavailable, EngineError, JournalError, SlmsecError, Unfit, UsageError
from pytest_slmsec.core.items import Answer
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.distribute.units import unit_numbers
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.execution.journal_files import worker_journal
from pytest_slmsec.execution.model_loader import ModelNotLoaded
from pytest_slmsec.execution.runner import Run
from pytest_slmsec.gates.statistics.sequential_design import FACT, SequentialDesign
from pytest_slmsec.gating.marker import GateRules, marked
from pytest_slmsec.gating.pair_fixture import PairReports, cases_of_pairs, designs_of_pairs
from pytest_slmsec.replay.match import unasked
from pytest_slmsec.reports import payload
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults
from pytest_slmsec.reports.progress import TerminalProgress
from pytest_slmsec.scoring.metrics import find_metric
from pytest_slmsec.tasks.base import Task

if TYPE_CHECKING:
    from pytest_slmsec.gating.plugin import Gating


class Session:
    """Registered as a plugin of its own when at least one ``--model`` was given."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.groups = EvaluationResults()
        self.is_worker = hasattr(config, "workerinput")
        self._progress = TerminalProgress(config)
        self.run = Run(settings, self._make_engine, self._progress)
        self._headed: set[Evaluation] = set()
        self._batches_told: set[tuple[Evaluation, int]] = set()
        self._metrics: dict[str, Any] = {}
        self._transcript: TextIO | None = None
        self._unfit: dict[tuple[str, str, str], None] = {}
        self._without_items: dict[str, str] = {}  # benchmark to reason
        self._stopped_early = False
        self._reused = self._answered = 0
        self._problem: str | None = None
        self._own_tasks: dict[str, Task] = {}
        self._pair_cases: dict[Evaluation, list[Case]] = {}
        self._pair_designs: dict[Evaluation, SequentialDesign] = {}
        self.gating: Gating | None = None

    @classmethod
    def from_config(cls, config: pytest.Config) -> Session:
        """Settings from the command line, the environment and the configuration.

        Raises:
            UsageError: something in them cannot be used.
        """
        extra: dict[str, Any] = {}
        for models in config.hook.pytest_slmsec_models(config=config):
            extra.update(models)
        given = {option.dest: getattr(config.option, option.dest, None) for option in PLUGIN_OPTIONS}
        settings = read_settings(given, config.rootpath, extra)
        if hasattr(config, "workerinput"):
            settings = replace(settings, journal=worker_journal(settings.journal, config.workerinput["workerid"]))
        return cls(config, replace(settings, prefetch=settings.prefetch and _sees_ahead(config)))

    @property
    def active(self) -> bool:
        """Whether a model was named."""
        return bool(self.settings.models)

    def _make_engine(self, spec: ModelSpec) -> Engine:
        settings = replace(self.settings.engine, progress=lambda what, done: self._progress.say(f"{what} ({done:.0%})"))
        hook, recorded = self.config.hook.pytest_slmsec_make_engine, spec.source == "replay"
        own = None if recorded else hook(config=self.config, spec=spec, settings=settings)
        if own is not None:
            return own  # type: ignore[no-any-return]
        from pytest_slmsec.quantize.load_model import make_engine

        return make_engine(spec, settings)

    def pytest_configure(self, config: pytest.Config) -> None:
        """Check the rules of the gate at collection, and judge at the end, in the main process."""
        self._check_similarity_model()
        self._distribute(config)
        if not self.is_worker and self.settings.sentinels != "off":
            from pytest_slmsec.session.sentinel_plugin import Watch

            config.pluginmanager.register(Watch(self.groups, self.settings.sentinels == "fail"), "slmsec-sentinels")
        if config.option.slmsec_no_gate:
            return
        config.pluginmanager.register(PairReports(), "slmsec-pair-reports")
        config.pluginmanager.register(GateRules(config, self.settings.models), "slmsec-gate-rules")
        if self.is_worker:
            return
        from pytest_slmsec.gating.plugin import Gating

        try:
            self.gating = Gating(config, self.settings, self.groups, self._own_tasks, self._load_beside)
        except SlmsecError as error:
            raise usage_error(error) from None
        self.settings = replace(self.settings, takes_whole=self.gating.stopping.takes_whole)
        config.pluginmanager.register(self.gating, "slmsec-gating")

    def _distribute(self, config: pytest.Config) -> None:
        """Take part in what pytest-xdist does, where several processes share the tests."""
        if self.is_worker:
            from pytest_slmsec.distribute.gpus import use_pinned

            use_pinned(config.workerinput)  # type: ignore[attr-defined]
        elif getattr(config.option, "dist", "no") != "no":
            from pytest_slmsec.distribute.hooks import Distribution

            config.pluginmanager.register(Distribution(config, self.settings), "slmsec-distribution")

    def _check_similarity_model(self) -> None:
        if self.settings.similarity is not None and not self.is_worker:
            from pytest_slmsec.session.similarity import check_model

            try:
                check_model(self.settings.similarity)
            except SlmsecError as error:
                raise usage_error(error) from None

    def _load_beside(self, spec: ModelSpec) -> Engine:
        """A model beside another one, once the run is over.

        Raises:
            EngineError: there is no model, only recorded answers.
        """
        if spec.source == "replay":
            raise EngineError(f"{spec.name} holds recorded answers: nothing can be measured beside another model.")
        self.run.close()
        return self._make_engine(spec)

    def pytest_sessionstart(self) -> None:
        """Open the transcript, also in the main process of xdist, which collects nothing itself."""
        self._open_transcript()

    # -- collection

    def pytest_report_header(self) -> list[str]:
        """What is about to be measured."""
        settings = self.settings
        models = ", ".join(spec.name for spec in settings.models)
        judge = "".join(f"; {role} {spec.name}" for role, spec in settings.roles.items())
        return [
            f"slmsec: models {models}{judge}; scoring {settings.mode.value}; data {settings.data or 'default'}",
            f"slmsec: journal {_relative(settings.journal, self.config.rootpath)} (--slmsec-resume continues it)",
        ]

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Visit models one after the other, after everybody else has reordered.

        pytest-benchmark's ``--benchmark-only`` and ``--benchmark-skip`` look for its fixture by name, so our cases
        carry that name while it looks.
        """
        option = self.config.option
        lend = getattr(option, "benchmark_only", False) or getattr(option, "benchmark_skip", False)
        lent = [item.fixturenames for item in items if lend and case_of(item)]  # type: ignore[attr-defined]
        lists = list({id(names): names for names in lent}.values())
        for names in lists:
            names.append("benchmark")
        try:
            yield
        finally:
            for names in lists:
                names.remove("benchmark")
        keys = [case.evaluation.model if (case := case_of(item)) else None for item in items]
        items[:] = together(items, keys)  # type: ignore[arg-type]
        if self.gating is not None:
            self._usable(self.gating.stopping.arrange, items)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan what is finally selected."""
        cases = [case for item in session.items if (case := case_of(item))]
        self._pair_cases = cases_of_pairs(session.items)
        self._usable(self._arrange_pairs, session.items)
        planned = [*cases, *chain(*self._pair_cases.values())]
        if self.gating is not None:
            self._usable(self.gating.stopping.check, cases)
        units = unit_numbers(self.config, self.settings, session.items)
        looks = self._segments(planned)
        self.run.adopt(planned, lambda case: (units.get(case), looks(case)))
        evaluations = dict.fromkeys(case.evaluation for case in cases)
        self._own_tasks.update({evaluation.task.name: evaluation.task for evaluation in evaluations})
        marked_tests = any(item.get_closest_marker(MARKER) for item in session.items)
        if marked_tests and not self.is_worker and (idle := self._idle({case.evaluation.model.name for case in cases})):
            raise usage_error(idle)

    def _arrange_pairs(self, items: list[pytest.Item]) -> None:
        """Put the cases behind pairs that may stop early into the order of their designs."""
        self._pair_designs = designs_of_pairs(items, self.config, self.settings)
        for group, design in self._pair_designs.items():
            by_row = {case.row: case for case in self._pair_cases[group]}
            self._pair_cases[group] = [by_row[row] for row in design.item_order]

    def _segments(self, cases: Sequence[Case]) -> Callable[[Case], int]:
        """How many looks of the gate come before a case."""
        looks = {case: design.segment(place) for group, design in self._pair_designs.items()
                 for place, case in enumerate(self._pair_cases[group])}  # fmt: skip
        gating = self.gating
        return lambda case: looks[case] if case in looks else gating.stopping.segment(case) if gating else 0

    def pair_design(self, group: Evaluation) -> SequentialDesign | None:
        """The design of a group behind a pair, where it may stop before its end."""
        return self._pair_designs.get(group)

    def _idle(self, asked: Collection[str]) -> str | None:
        """Recorded answers that no test asks for are a mistake, and not a green run."""
        idle = [model for model in self.settings.models if model.source == "replay" and model.name not in asked]
        return unasked(idle[0]) if idle else None

    @staticmethod
    def _usable(ask: Callable[[Any], None], what: Any) -> None:
        """Ask the gate at collection; what it cannot use ends the run."""
        try:
            ask(what)
        except UsageError as error:
            raise usage_error(error) from None

    # -- one case

    def answer(self, case: Case) -> Answer | None:
        """The answer of a case, for the fixture. Problems of the run end it; those of a model skip its cases."""
        if self.config.option.setuponly or self.config.option.setupplan:
            return None
        if self.gating is not None and (skip_reason := self.gating.stopping.skip_reason(case)):
            pytest.skip(skip_reason)
        try:
            return self.run.answer(case)
        except SlmsecError as error:
            problem = error
        if isinstance(problem, DataUnavailable):
            self._without_items[case.evaluation.task.name] = str(problem)
        if isinstance(problem, (ModelNotLoaded, DataUnavailable, Unfit)):
            pytest.skip(str(problem))
        if isinstance(problem, JournalError):
            self._stopped_early = True
            pytest.exit(str(problem), returncode=pytest.ExitCode.INTERRUPTED)
        pytest.fail(str(problem), pytrace=False)

    def measured(self, group: Evaluation, item: pytest.Item, first: int | None = None) -> EvaluationResult:
        """The items of a group, for the test of a pair; answers that the run has already are not asked again.

        Args:
            first: so many of them, in the order of the design; all without it.

        Raises:
            SlmsecError: the model cannot be loaded, or the items cannot be read.
        """
        found, header, told, design = EvaluationResults(), None, set[int](), self._pair_designs.get(group)
        for case in self._pair_cases[group][:first]:
            answer = self.run.answer(case)
            header = header or payload.header(group, self.run.info, item.nodeid.partition("::")[0])
            header |= {} if design is None else {FACT: design.to_json()}
            batch = (self.run.take(case) or (None, None))[1]
            data = {"row": payload.row(case, answer), "header": payload.plain(header)}
            if batch is not None and id(batch) not in told:
                told.add(id(batch))
                data["batch"] = payload.batch(batch)
            found.add(data, group.metric)
        result = found.by_key[group.label, group.model.name]
        result.stopped = first if design is not None and first != design.n_total else None
        return result

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """A case without a valid measurement fails before its body could look at the answer."""
        answer = getattr(item, "funcargs", {}).get("answer")
        if isinstance(answer, Answer) and answer.error is not None:
            pytest.fail(answer.error, pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Hang the measurement on the report, and give each case its own share of its window's time."""
        report: Any = yield
        case = case_of(item)
        if report.skipped and (unfit := self.run.unfit(case.evaluation) if case else unfit_of(item)):
            report.slmsec_unfit = [unfit.model, unfit.benchmark, unfit.why]
        if report.skipped and (missing := self._no_items(case) if case else no_items_of(item)):
            report.slmsec_no_items = list(missing)
        if case is None:
            return report  # type: ignore[no-any-return]
        if report.when == "setup":
            report.duration = 0.0  # the window ran here, for all of its cases
        elif report.when == "call" and (taken := self.run.take(case)):
            self._attach(report, item, case, *taken)
        return report  # type: ignore[no-any-return]

    def _no_items(self, case: Case) -> NoItems | None:
        name = case.evaluation.task.name
        why = self._without_items.get(name)
        return None if why is None else NoItems(name, why)

    def _attach(self, report: Any, item: pytest.Item, case: Case, answer: Answer, batch: Any) -> None:
        report.slmsec = data = {"row": payload.row(case, answer), "reused": self.run.is_reused(batch)}
        if batch is not None and (told := (case.evaluation, id(batch))) not in self._batches_told:
            self._batches_told.add(told)
            data["batch"] = payload.batch(batch)
        if case.evaluation not in self._headed:
            self._headed.add(case.evaluation)
            header = payload.header(case.evaluation, self.run.info, item.nodeid.partition("::")[0])
            design = self.gating.stopping.design(case.evaluation) if self.gating is not None else None
            visited = {} if design is None else {FACT: design.to_json()}
            data["header"] = payload.plain({**header, "gate": marked(item), **visited})
            self._metrics[case.evaluation.label] = case.evaluation.metric
        if self.settings.transcript:
            data["transcript"] = payload.transcript(case, answer)
        report.duration = answer.seconds or 0.0
        score = answer.score
        if score is not None:
            item.user_properties += [("correct", score.correct), ("score", score.value), ("parsed", score.parsed)]
            report.user_properties = list(item.user_properties)
        if score is not None and not score.correct and report.passed and self.settings.wrong != "pass":
            self._show_wrong(report, answer)

    def _show_wrong(self, report: Any, answer: Answer) -> None:
        said = f"wrong answer: {answer.choice!r}, right is {answer.item.gold!r}"
        if self.settings.wrong == "fail":
            report.outcome, report.longrepr = "failed", said
        else:
            report.outcome, report.wasxfail = "skipped", said

    # -- the main process

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Complete the groups in the main process; under xdist the payload came with the report."""
        data = getattr(report, "slmsec", None)
        if (unfit := getattr(report, "slmsec_unfit", None)) and not self.is_worker:
            self._unfit[tuple(unfit)] = None
        if missing := getattr(report, "slmsec_no_items", None):
            self._without_items[missing[0]] = missing[1]
        if data is None or self.is_worker:
            return
        self.groups.add(data, self._metric(data), getattr(report, "item_index", 0))  # xdist's
        self._reused += data["reused"]
        self._answered += 1
        if "transcript" in data:
            self._write_transcript({**data["row"], **data["transcript"]})

    def _metric(self, data: dict[str, Any]) -> Any:
        label = data["row"]["group"]
        if label not in self._metrics:
            self._metrics[label] = find_metric(data["header"]["metric"])
        return self._metrics[label]

    def _write_transcript(self, line: dict[str, Any]) -> None:
        assert self._transcript is not None
        self._transcript.write(json.dumps(line, ensure_ascii=True) + "\n")

    def _open_transcript(self) -> None:
        """Before anything runs, so that a place that cannot be written is not found out after an hour."""
        path = self.settings.transcript
        if path is None or self.is_worker or self.config.option.collectonly:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._transcript = path.open("w", encoding="utf-8")
        except OSError as error:
            raise usage_error(
                f"--slmsec-transcript={path}: cannot be written ({error.strerror}); name another file."
            ) from None

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Add our entries before pytest-benchmark's own wrapper saves and compares."""
        benchmarks = self.config.pluginmanager.get_plugin("pytest-benchmark")
        option = self.config.option
        off = benchmarks is None or benchmarks.skip or (option.benchmark_disable and not option.benchmark_enable)
        if not self.is_worker and not self._stopped_early:
            self._compare_meanings()
        if getattr(option, "dist", "no") != "no" and not self.is_worker and session.testscollected:
            self._fail_idle(session)
        if self._without_items and not self.groups and not self.is_worker and session.exitstatus == pytest.ExitCode.OK:
            from pytest_slmsec.gating.plugin import NOTHING_JUDGED

            session.exitstatus = NOTHING_JUDGED
        if not off and not self.is_worker:
            from pytest_slmsec.reports.benchmark_json import add_entries

            add_entries(benchmarks, list(self.groups))
            if self.gating is not None and self.gating.accepted is not None:
                self.gating.write_baseline(session, benchmarks)
        return (yield)

    def _fail_idle(self, session: pytest.Session) -> None:
        """Under xdist only the workers collect, and cannot end the run by a mistake on the command line."""
        if idle := self._idle({group.model for group in self.groups}):
            self._problem = idle
            session.exitstatus = session.exitstatus or pytest.ExitCode.USAGE_ERROR

    def _compare_meanings(self) -> None:
        """Semantic similarity, once the models under test are out of memory."""
        from pytest_slmsec.session.similarity import add_similarity
        from pytest_slmsec.tasks.registry import tasks

        def find(name: str) -> Task | None:
            return self._own_tasks.get(name) or tasks().get(name)

        if self.settings.similarity is not None:
            self.run.close()
        add_similarity(self.groups, find, self.settings.similarity, self.settings.engine, self._progress.say)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Put every item's answer and score into the file, beside pytest-benchmark's entries."""
        from pytest_slmsec.reports.benchmark_json import answers

        output_json["slmsec"] = answers(list(self.groups))
        if self.gating is not None and self.gating.accepted is not None:
            output_json["slmsec"]["accepted"] = self.gating.accepted
        if self.gating is not None and (distances := self.gating.distances) is not None:
            kept = {"fidelity": distances.records, "distributions": distances.tops}
            output_json["slmsec"] |= {key: found for key, found in kept.items() if found}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """The tables, behind those of pytest-benchmark and also when its comparison ends in an error."""
        try:
            return (yield)
        finally:
            if self._problem is not None:
                terminalreporter.write_line(f"ERROR: {self._problem}", red=True)
            if self.groups or self._unfit or self._without_items:
                from pytest_slmsec.reports.terminal import write_summary

                write_summary(terminalreporter, list(self.groups), self.settings, list(self._unfit), self._resumed(),
                              self._without_items)  # fmt: skip

    def _resumed(self) -> str | None:
        """How much an earlier run had measured already."""
        if not self.settings.resume:
            return None
        where = _relative(self.settings.journal, self.config.rootpath)
        return f"--slmsec-resume reused {self._reused} of {counted(self._answered, 'answer')} from {where}."

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the run did not end by itself."""
        self._stopped_early = True

    def finish(self) -> None:
        """Close everything; an interrupted run ends with the command that resumes it."""
        stored = self.run.n_stored
        self.run.close()
        if self._transcript is not None:
            self._transcript.close()
        if self._stopped_early and stored and not self.is_worker:
            args = [arg for arg in self.config.invocation_params.args if arg != "--slmsec-resume"]
            command = shlex.join(["pytest", *args, "--slmsec-resume"])
            sys.stdout.write(f"\nTo continue where this run stopped: {command}\n")


def _sees_ahead(config: pytest.Config) -> bool:
    """Whether it is certain which items will be asked next: the run is not to end at a failure, and no other process
    may be given them."""
    option = config.option
    return not (option.maxfail or getattr(option, "stepwise", False) or hasattr(config, "workerinput"))


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
