"""The main plugin object of a pytest run in which models were named."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.collection.trained_on import TrainedOn
from pytest_slmsec.config.options import PAIR_JUDGE
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.errors import DataUnavailable, EngineError, JournalError, SlmsecError, Unfit
from pytest_slmsec.core.items import Answer
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import relative_to
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.settings import EngineSettings, ThinkingSettings
from pytest_slmsec.execution.journal_files import worker_journal
from pytest_slmsec.execution.merge import Merged
from pytest_slmsec.execution.model_loader import ModelNotLoaded
from pytest_slmsec.execution.openmp import set_openmp
from pytest_slmsec.execution.pool import PoolError
from pytest_slmsec.execution.prefetch import NOT_PREFETCHED as NOT_POOLED
from pytest_slmsec.execution.runner import Run
from pytest_slmsec.execution.timeout_pause import TimeoutPause
from pytest_slmsec.gating.marker import GateRules
from pytest_slmsec.gating.pair_fixture import PairReports
from pytest_slmsec.gating.pair_runs import PairRuns
from pytest_slmsec.reports.progress import TerminalProgress
from pytest_slmsec.session.collection import CollectionPlugin
from pytest_slmsec.session.device_profile import device_run
from pytest_slmsec.session.preflight import check_options
from pytest_slmsec.session.results import ResultsPlugin
from pytest_slmsec.session.state import SessionState
from pytest_slmsec.session.summary import SummaryPlugin
from pytest_slmsec.session.transcript import Transcript

if TYPE_CHECKING:
    from pytest_slmsec.session.pool import PooledModels


class SessionPlugin:
    """Configures the run, answers its cases, and closes everything. Registered when a ``--model`` was given."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._progress = TerminalProgress(config)
        settings = for_this_process(config, settings)
        self._timeout_pause = TimeoutPause()
        self._merged: Merged | None = None
        self._pool: PooledModels | None = None
        device = device_run(config, settings)
        guard, after_window = (nullcontext, None) if device is None else (device.guard, device.after_window)
        run = Run(settings, self._make_engine, self._progress, self._timeout_pause.paused, guard, after_window)
        trained_on = TrainedOn(settings.trained_on, settings.qa_columns)
        self.state = SessionState(config, settings, run, PairRuns(config, settings, run, trained_on), trained_on)
        self.state.device = device
        self._transcript = Transcript(self.state)
        self._openmp_too_late: str | None = None

    @property
    def settings(self) -> Settings:
        """All options of the run."""
        return self.state.settings

    @property
    def takes_whole(self) -> Callable[[ModelSpec, str, int], bool] | None:
        """Which benchmarks are taken whole although a sample is wanted (see `make_evaluation`)."""
        gating = self.state.gating
        return None if gating is None else gating.stopping.takes_whole

    def _make_engine(self, spec: ModelSpec, guesses: bool = True) -> Engine:
        """Load a model, with an engine of another plugin where one offers it; where shards are merged, none is
        loaded. Without `guesses` it decodes one token a step, whatever the settings say."""
        if self._merged is not None:
            return self._merged.engine(spec.name)
        if self.state.device is not None:
            self.state.device.check(spec)
        settings = replace(self._engine_settings(spec), progress=self._show_loading, notice=self._progress.notice)
        settings = replace(settings, guesses=settings.guesses and guesses)
        if spec.source != "replay":
            hook = self.state.config.hook.pytest_slmsec_make_engine
            own = hook(config=self.state.config, spec=spec, settings=settings)
            if own is not None:
                return own  # type: ignore[no-any-return]
        if self._pool is not None and spec.source not in NOT_POOLED:
            return self._pool.load(spec)
        from pytest_slmsec.quantize.load_model import make_engine

        return make_engine(spec, settings)

    def _engine_settings(self, spec: ModelSpec) -> EngineSettings:
        """How a model is loaded; a judge thinks as it does by itself."""
        settings = self.settings.engine
        if spec in self.settings.models:
            return settings
        return replace(settings, thinking=ThinkingSettings(thought_tokens=settings.thinking.thought_tokens))

    def _show_loading(self, what: str, done: float) -> None:
        self._progress.say(f"{what} ({done:.0%})")

    def pytest_configure(self, config: pytest.Config) -> None:
        """Check options and files that would make the run fail later, and register the other plugin objects."""
        if not self.state.is_worker:
            check_options(config)
            self._check_training_data()
        if self.state.device is not None:
            self.state.device.limit()
        self._openmp_too_late = set_openmp()
        register = config.pluginmanager.register
        self._check_similarity_model()
        register(self._timeout_pause, "slmsec-timeout-pause")
        register(CollectionPlugin(self.state, self._progress.say), "slmsec-collection")
        register(ResultsPlugin(self.state, self._transcript), "slmsec-results")
        register(self._transcript, "slmsec-transcript")
        register(SummaryPlugin(self.state, self._progress.say), "slmsec-summary")
        self._distribute(config)
        if not self.state.is_worker and self.settings.sentinels != "off":
            from pytest_slmsec.session.sentinel_plugin import SentinelPlugin

            register(SentinelPlugin(self.state.results, self.settings.sentinels == "fail"), "slmsec-sentinels")
        self._merged = self._register_shards()
        self._pool = self._use_pool()
        if not config.option.slmsec_no_gate and self.settings.shard is None:
            self._register_gate(config)
        elif self.settings.pair_judge is not None:
            why = "leave out --slmsec-no-gate, --slmsec-shard, or it"
            raise usage_error(f"{PAIR_JUDGE.flag} compares a candidate with its base for the gate: {why}.")
        if config.option.slmsec_report and not (self.state.is_worker or config.option.collectonly):
            from pytest_slmsec.session.report_page import ReportPage

            register(ReportPage(self.state, config.option.slmsec_report), "slmsec-report-page")

    def _register_shards(self) -> Merged | None:
        """What the shards measured, where they are merged. Only a run that names shards imports their module."""
        if self.settings.shard is None and not self.settings.merge:
            return None
        from pytest_slmsec.session.shards import register_shards

        return register_shards(self.state)

    def _use_pool(self) -> PooledModels | None:
        """The pool that answers, if one is named. Only then is its module imported."""
        if self.settings.pool is None or self.state.config.option.collectonly:
            return None
        from pytest_slmsec.session.pool import PooledModels, check_pool

        check_pool(self.state)
        return PooledModels(self.state, self._engine_settings, self._progress.say)

    def _register_gate(self, config: pytest.Config) -> None:
        """Check the rules of the gate at collection, and judge at the end, in the main process."""
        config.pluginmanager.register(PairReports(), "slmsec-pair-reports")
        config.pluginmanager.register(GateRules(config, self.settings.models), "slmsec-gate-rules")
        if self.state.is_worker:
            return
        from pytest_slmsec.gating.plugin import Gating

        state = self.state
        try:
            state.gating = Gating(config, state.settings, state.results, self._load_second_model, state.run.ask)
        except SlmsecError as error:
            raise usage_error(error) from None
        config.pluginmanager.register(state.gating, "slmsec-gating")

    def _distribute(self, config: pytest.Config) -> None:
        """Take part in what pytest-xdist does, where several processes share the tests."""
        if self.state.is_worker:
            from pytest_slmsec.distribute.gpus import use_assigned_gpu

            use_assigned_gpu(config.workerinput)  # type: ignore[attr-defined]
        elif self.state.is_distributed:
            from pytest_slmsec.distribute.hooks import Distribution

            config.pluginmanager.register(Distribution(config, self.settings), "slmsec-distribution")

    def _check_similarity_model(self) -> None:
        if self.settings.similarity is not None and not self.state.is_worker:
            from pytest_slmsec.session.similarity import check_model

            try:
                check_model(self.settings.similarity)
            except SlmsecError as error:
                raise usage_error(error) from None

    def _check_training_data(self) -> None:
        try:
            self.state.trained_on.check(whole=self.state.is_distributed)
        except SlmsecError as error:
            raise usage_error(error) from None

    def _load_second_model(self, spec: ModelSpec) -> Engine:
        """Load a model that will stand beside another one, once all cases have run.

        Raises:
            EngineError: there is no model, only recorded answers.
        """
        if spec.source == "replay" or self._merged is not None:
            raise EngineError(f"{spec.name} holds recorded answers: nothing can be measured beside another model.")
        self.state.run.close()
        return self._make_engine(spec, guesses=False)  # its speed may be measured

    def pytest_report_header(self) -> list[str]:
        """What is about to be measured."""
        settings = self.settings
        models = ", ".join(spec.name for spec in settings.models)
        judge = "".join(f"; {role} {spec.name}" for role, spec in settings.roles.items())
        journal = relative_to(settings.journal, self.state.config.rootpath)
        thinking = settings.engine.thinking
        variables = "".join(f" {name}={json.dumps(value)}" for name, value in thinking.template)
        chosen = f"; thinking {thinking.asked}{variables}" if thinking.asked != "auto" or variables else ""
        data = settings.data or "default"
        lines = [f"slmsec: models {models}{judge}; scoring {settings.mode.value}; data {data}{chosen}"]
        if settings.pool is not None:
            lines.append(f"slmsec: answers come from replicas at {settings.pool}")
        if not settings.merge:
            lines.append(f"slmsec: journal {journal} (--slmsec-resume continues it)")
        if self.state.device is not None:
            lines.append(f"slmsec: {self.state.device.line}")
        if self._openmp_too_late is not None:
            lines.append(f"slmsec: {self._openmp_too_late}")
        return lines

    def answer(self, case: Case) -> Answer | None:
        """The answer of a case, for the fixture `answer`; None under ``--setup-only`` and ``--setup-plan``.

        A problem of the model or its benchmark skips the case; a problem of the journal or the pool ends the run.
        """
        state = self.state
        if state.config.option.setuponly or state.config.option.setupplan:
            return None
        skip_reason = state.gating.stopping.skip_reason(case) if state.gating is not None else None
        if skip_reason:
            pytest.skip(skip_reason)
        try:
            return state.run.answer(case)
        except SlmsecError as error:
            problem = error
        if isinstance(problem, DataUnavailable):
            state.without_items[case.evaluation.task.name] = str(problem)
        if isinstance(problem, (ModelNotLoaded, DataUnavailable, Unfit)):
            pytest.skip(str(problem))
        if isinstance(problem, (JournalError, PoolError)):
            state.stopped_early = True
            pytest.exit(str(problem), returncode=pytest.ExitCode.INTERRUPTED)
        pytest.fail(str(problem), pytrace=False)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what a pool of replicas did."""
        told = None if self._pool is None else self._pool.what_it_did()
        if told is not None:
            terminalreporter.write_line(f"slmsec: {told}")

    def finish(self) -> None:
        """Close everything. An interrupted run ends with the command that resumes it."""
        state = self.state
        stored = state.run.n_stored
        state.run.close()
        if state.device is not None:
            state.device.release()
        self._transcript.close()
        if state.stopped_early and stored and not state.is_worker:
            args = [arg for arg in state.config.invocation_params.args if arg != "--slmsec-resume"]
            command = shlex.join(["pytest", *args, "--slmsec-resume"])
            sys.stdout.write(f"\nTo continue where this run stopped: {command}\n")


def for_this_process(config: pytest.Config, settings: Settings) -> Settings:
    """The settings of the run in this process.

    A worker of pytest-xdist has a journal of its own. Nothing is prefetched where the next items are not certain.
    """
    if hasattr(config, "workerinput"):
        settings = replace(settings, journal=worker_journal(settings.journal, config.workerinput["workerid"]))
    chosen = settings.device_profile
    if chosen is not None:
        one_token_a_step = replace(settings.engine, guesses=False)
        settings = replace(settings, prefetch=False, engine=one_token_a_step)  # one thing at a time: it is timed
        if chosen.profile.accelerator == "none" and settings.engine.device == "auto":
            settings = replace(settings, engine=replace(settings.engine, device="cpu"))
    prefetch = settings.prefetch and not settings.merge and _knows_next_items(config)
    return replace(settings, prefetch=prefetch)


def _knows_next_items(config: pytest.Config) -> bool:
    """Whether the next items surely run here: no failure ends the run, and no other process may get them."""
    option = config.option
    return not (option.maxfail or getattr(option, "stepwise", False) or hasattr(config, "workerinput"))
