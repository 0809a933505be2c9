"""``--slmsec-report``: the HTML page about the run that ends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_slmsec.core.version import __version__
from pytest_slmsec.core.wrap import shown
from pytest_slmsec.meters.device import machine_facts
from pytest_slmsec.session.state import SessionState

if TYPE_CHECKING:
    from pytest_slmsec.gates.decision.judgement import Judgement
    from pytest_slmsec.reports.page.records import Record, Report

NOTHING = "no page was written: no benchmark was measured whole"


class ReportPage:
    """Writes the page in the main process, once everything is measured and judged.

    Args:
        path: the file.
    """

    def __init__(self, state: SessionState, path: str) -> None:
        self._state, self._path = state, Path(path)
        self._said = NOTHING

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the page; what was interrupted has one about its complete benchmarks."""
        report = self._report()
        if report is None:
            return
        from pytest_slmsec.reports.page.document import Wanted, page

        content = page(report, Wanted(prompts=self._prompts(report)))
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(content, "utf-8")
        except OSError as error:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            self._said = f"{self._path} cannot be written: {error.strerror or error}"
            return
        self._said = f"{self._path}, {len(content.encode()) / 1024:,.0f} KiB"

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say where the page is, or why there is none."""
        terminalreporter.write_line(f"slmsec report: {shown(self._said)}")

    def _report(self) -> Report | None:
        from pytest_slmsec.reports.page.records import Report

        gating = self._state.gating
        judgements = tuple(gating.judgements) if gating is not None else ()
        record = self._record()
        models = {run.model for run in record.runs}
        named = tuple(_told_apart(judgement, models) for judgement in judgements)
        return Report((*_stored(named), record), named) if record.runs else None

    def _record(self) -> Record:
        from pytest_slmsec.reports.benchmark_json import columns
        from pytest_slmsec.reports.gate.live_runs import HERE, live_run
        from pytest_slmsec.reports.page.records import Record, memory_of

        state, machine = self._state, machine_facts()
        parts = [part for evaluated in state.results if (part := evaluated.judged) is not None]
        distances = state.gating.distances if state.gating is not None else None
        return Record(
            HERE, tuple(live_run(part, machine) for part in parts), datetime.now(UTC).isoformat(timespec="seconds"),
            self._commit(), __version__, machine,
            {(part.label, part.model): list(part.cost().seconds_per_item) for part in parts},
            [asdict(finding) for evaluated in state.results for finding in evaluated.findings],
            {} if distances is None else distances.records, memory_of(map(columns, parts)),
        )  # fmt: skip

    def _commit(self) -> str:
        """What is checked out, as pytest-benchmark finds it; empty where that plugin is switched off."""
        from pytest_slmsec.reports.page.records import commit_text

        ask = getattr(self._state.config.hook, "pytest_benchmark_generate_commit_info", None)
        return commit_text({} if ask is None else ask(config=self._state.config))

    def _prompts(self, report: Report) -> Mapping[str, str]:
        from pytest_slmsec.reports.page.texts import prompts_of_data, prompts_of_items

        state = self._state
        own = [item for task in state.own_tasks.values() for item in task.items or ()]
        data = state.settings.data
        return prompts_of_data(report.runs, None if data == "hub" else data) | prompts_of_items(own)


def _told_apart(judgement: Judgement, models: Iterable[str]) -> Judgement:
    """A verdict against a stored run of a model that this run has as well: the stored one gets a name of its own."""
    from pytest_slmsec.reports.gate.live_runs import HERE
    from pytest_slmsec.reports.page.records import BASELINE

    if judgement.base_where == HERE or judgement.base not in models:
        return judgement
    return replace(judgement, base=f"{judgement.base}{BASELINE}")


def _stored(judgements: Iterable[Judgement]) -> list[Record]:
    """The stored runs that verdicts were given against, each once."""
    from pytest_slmsec.reports.gate.live_runs import HERE
    from pytest_slmsec.reports.page.records import Record

    found = {}
    for judgement in judgements:
        runs = tuple(replace(pair.base, model=judgement.base) for pair in judgement.pairs if pair.base.where != HERE)
        if runs:
            found[judgement.base, judgement.base_where] = Record(judgement.base_where, runs, machine=runs[0].machine)
    return list(found.values())
