"""The end of a run: similarity, pytest-benchmark's entries and JSON, and the tables."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import pytest

from pytest_slmsec.core.exit_status import NOTHING_JUDGED
from pytest_slmsec.core.paths import relative_to
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.reports.benchmark_json import add_entries
from pytest_slmsec.reports.energy import TDP
from pytest_slmsec.reports.terminal import write_summary
from pytest_slmsec.session.collection import idle_recordings
from pytest_slmsec.session.record import record, section
from pytest_slmsec.session.similarity import add_similarity
from pytest_slmsec.session.state import SessionState
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.qa_file import NAME as QA
from pytest_slmsec.tasks.qa_file import task_of_file
from pytest_slmsec.tasks.registry import tasks


class SummaryPlugin:
    """Writes what was measured, in the main process.

    Args:
        say: shows one line of progress.
    """

    def __init__(self, state: SessionState, say: Callable[[str], None]) -> None:
        self._state, self._say = state, say

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Add our entries before pytest-benchmark's own wrapper saves and compares; tell others once it has."""
        state = self._state
        if state.device is not None:
            state.device.release()  # all is measured, and reports of other plugins need memory too
        if not state.is_worker:
            self._note_tdp()
            if not state.stopped_early:
                self._add_similarity()
            self._set_exit_status(session)
            self._add_entries(session)
        try:
            return (yield)
        finally:
            self._tell_plugins(int(session.exitstatus))

    def _tell_plugins(self, exit_status: int) -> None:
        """Give other plugins the record, where one wants it and something was measured."""
        state, hook = self._state, self._state.config.hook.pytest_slmsec_finished
        if hook.get_hookimpls() and state.results and not state.is_worker:
            hook(config=state.config, record=record(state, exit_status))

    def _set_exit_status(self, session: pytest.Session) -> None:
        """Make a run red that measured nothing, or left out recorded answers."""
        state = self._state
        if state.is_distributed and session.testscollected:
            # Only the workers collect, and a worker cannot end the run for a mistake on the command line.
            state.problem = idle_recordings(state, {evaluated.model for evaluated in state.results})
            if state.problem is not None:
                session.exitstatus = session.exitstatus or pytest.ExitCode.USAGE_ERROR
        if state.without_items and not state.results and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = NOTHING_JUDGED

    def _add_entries(self, session: pytest.Session) -> None:
        state, option = self._state, self._state.config.option
        benchmarks = state.config.pluginmanager.get_plugin("pytest-benchmark")
        if benchmarks is None or benchmarks.skip or (option.benchmark_disable and not option.benchmark_enable):
            return
        add_entries(benchmarks, list(state.results))
        if state.gating is not None and state.gating.accepted is not None:
            state.gating.write_baseline(session, benchmarks)

    def _note_tdp(self) -> None:
        for evaluated in self._state.results:
            if evaluated.header and self._state.settings.tdp_w is not None:
                evaluated.header[TDP] = self._state.settings.tdp_w

    def _add_similarity(self) -> None:
        """Add semantic similarity, once the models under test are out of memory."""
        state = self._state
        if state.settings.similarity is not None:
            state.run.close()
        add_similarity(state.results, self._find_task, state.settings.similarity, state.settings.engine, self._say)

    def _find_task(self, name: str) -> Task | None:
        return self._state.own_tasks.get(name) or tasks().get(name) or self._own_questions(name)

    def _own_questions(self, name: str) -> Task | None:
        """The benchmark of ``--slmsec-qa``, which under pytest-xdist only the workers collect."""
        settings = self._state.settings
        if settings.qa is None or name != f"{QA}-{settings.qa.stem}":
            return None
        return task_of_file(settings.qa, settings.qa_columns)

    @pytest.hookimpl(optionalhook=True)
    def pytest_benchmark_update_json(self, output_json: dict[str, Any]) -> None:
        """Put every item's answer and score into the file, beside pytest-benchmark's entries."""
        output_json["slmsec"] = section(self._state)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """Show the tables, behind those of pytest-benchmark, and also when its comparison ends in an error."""
        state = self._state
        try:
            return (yield)
        finally:
            if state.problem is not None:
                terminalreporter.write_line(f"ERROR: {state.problem}", red=True)
            if state.results or state.unfit or state.without_items:
                write_summary(terminalreporter, list(state.results), state.settings, list(state.unfit), self._resumed(),
                              state.without_items, self._not_asked())  # fmt: skip

    def _not_asked(self) -> list[str]:
        """The benchmarks that ``--slmsec-benchmarks`` left out. Where workers collect, those of the registry."""
        state = self._state
        known = list(tasks()) if state.is_distributed else state.left_out
        return [name for name in dict.fromkeys(known) if not state.settings.asks(name)]

    def _resumed(self) -> str | None:
        """A sentence on how many answers came from an earlier run."""
        state = self._state
        if not state.settings.resume:
            return None
        where = relative_to(state.settings.journal, state.config.rootpath)
        return f"--slmsec-resume reused {state.reused} of {counted(state.answered, 'answer')} from {where}."

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self) -> None:
        """Remember that the run was interrupted."""
        self._state.stopped_early = True
