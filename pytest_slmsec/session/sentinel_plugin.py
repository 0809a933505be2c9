"""Sentinels over a run, in the main process, which under xdist is the only one that sees all answers."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_slmsec.collection.ids import safe_id
from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.reports.gate.test_reports import GateReport, show
from pytest_slmsec.reports.sentinels import evidence_of_result, look, tell
from pytest_slmsec.sentinels.base import Finding
from pytest_slmsec.sentinels.registry import SENTINELS

PREFIX = "slmsec-sentinel"


class SentinelPlugin:
    """Registered in the main process of a run with models, unless ``--slmsec-sentinels=off``.

    Args:
        results: completed by the session. fail: each finding is an error of the run.
    """

    def __init__(self, results: EvaluationResults, fail: bool) -> None:
        self._results, self._fail = results, fail
        self.findings: list[Finding] = []

    def look(self) -> None:
        """Run all sentinels, and put each finding on its result, which writes it into the record."""
        results = list(self._results)
        bases = {
            evaluated.model: str(evaluated.header["base"]) for evaluated in results if evaluated.header.get("quant")
        }
        self.findings = look([evidence_of_result(evaluated) for evaluated in results if evaluated.header], bases)
        for evaluated in results:
            key = evaluated.label, evaluated.model
            evaluated.findings = [f for f in self.findings if (f.benchmark, f.model) == key]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Look once everything has run, or at what had run when the session ended."""
        try:
            result = yield
        finally:
            self.look()
        if self._fail:
            for finding in self.findings:
                show(session, _report(finding))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_terminal_summary(self, terminalreporter: Any) -> Generator[None, None, None]:
        """The findings, below the tables; nothing where there are none."""
        try:
            return (yield)
        finally:
            if self.findings:
                terminalreporter.section("slmsec sentinels")
                for line in tell(self.findings, terminalreporter._tw.fullwidth):
                    terminalreporter.write_line(line)


def _report(finding: Finding) -> GateReport:
    """A finding as the error of a test of its own."""
    says = next(sentinel for sentinel in SENTINELS if sentinel.id == finding.id)
    name = f"{finding.id}[{safe_id(finding.model)}-{safe_id(finding.benchmark)}]"
    text = f"{finding.benchmark} on {finding.model}: {finding.fact}. {says.says} {says.remedy}"
    return GateReport(name, "error", text, prefix=PREFIX)
