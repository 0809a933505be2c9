"""Gates as test reports: they count, colour and reach JUnit as tests do, with and without xdist."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_slmsec.collection.ids import safe_id
from pytest_slmsec.core.wrap import shown, wrapped
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.gate.properties import Properties, gate_properties, suite_properties
from pytest_slmsec.reports.gate.text import suite_reasons, tell

PREFIX = "slmsec-gate"
INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class GateReport:
    """What becomes one test report. `outcome` is passed, failed, skipped, error or inconclusive; `prefix` stands where
    the file of a test stands in its id."""

    name: str
    outcome: str
    text: str
    properties: Properties = field(default_factory=dict)
    prefix: str = PREFIX

    @property
    def nodeid(self) -> str:
        """Id of the report."""
        return f"{self.prefix}::{self.name}"


def incomplete(evaluated: EvaluationResult) -> str:
    """The sentence about a benchmark of which only a part was measured."""
    measured = len(evaluated.rows) - evaluated.n_errors
    return (
        f"{evaluated.label} on {evaluated.model}: {measured} of {evaluated.n_expected} items were validly measured; a "
        "part is never judged."
    )


def gate_reports(judgement: Judgement, model: str, partial: bool) -> list[GateReport]:
    """The test reports of one candidate: one a gate that counts, and one for the suite.

    Args:
        model: id of the candidate. partial: benchmarks are missing, so that the suite cannot PASS.
    """
    found = []
    undecided = "skipped" if judgement.config.on_inconclusive == "skip" else INCONCLUSIVE
    for judged in judgement.gates:
        if judged.advisory:
            continue
        verdict = judgement.verdicts[judged.result.gate]
        place = f"{model}-{safe_id(judged.benchmark)}" if judged.benchmark else model
        name = f"{safe_id(judged.what.replace(' ', '_'))}[{place}]"
        outcome = undecided if judged.trips else _outcome(verdict, undecided)
        found.append(GateReport(name, outcome, tell(judgement, judged), gate_properties(judgement, judged)))
    if partial and judgement.verdict is Verdict.PASS:
        text = f"{judgement.candidate}: some benchmarks are incomplete, so the suite cannot be judged."
        return [*found, GateReport(f"suite[{model}]", "skipped", text)]
    outcome = _outcome(judgement.verdict, "failed" if judgement.config.on_inconclusive == "fail" else undecided)
    text = " ".join([f"SUITE: {judgement.verdict.value}.", *(f"{reason}." for reason in suite_reasons(judgement))])
    return [*found, GateReport(f"suite[{model}]", outcome, text, suite_properties(judgement))]


def _outcome(verdict: Verdict, undecided: str) -> str:
    known = {Verdict.PASS: "passed", Verdict.FAIL: "failed", Verdict.ERROR: "error"}
    return known.get(verdict, undecided)


def show(session: pytest.Session, gate: GateReport) -> None:
    """Pass a gate through the hooks that every test goes through, and keep it out of what ``--lf`` remembers."""
    hook, location = session.config.hook, (gate.prefix, None, gate.name)
    _break_line(session.config)
    session.testscollected += 1
    hook.pytest_runtest_logstart(nodeid=gate.nodeid, location=location)
    report = _report(gate, location)
    hook.pytest_runtest_logreport(report=report)
    end = pytest.TestReport(gate.nodeid, location, {}, "passed", None, "teardown")
    end.user_properties = report.user_properties  # JUnit takes them from the end of a test
    hook.pytest_runtest_logreport(report=end)
    hook.pytest_runtest_logfinish(nodeid=gate.nodeid, location=location)
    last_failed = session.config.pluginmanager.get_plugin("lfplugin")
    if last_failed is not None:  # its keys are texts before pytest 9.2, and from then on ids that print as these
        for key in [key for key in last_failed.lastfailed if str(key) == gate.nodeid]:
            del last_failed.lastfailed[key]


def _break_line(config: pytest.Config) -> None:
    """Begin a line of marks anew before it is full: pytest does so only while tests are still to come."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and config.get_verbosity(pytest.Config.VERBOSITY_TEST_CASES) <= 0:
        writer = reporter._tw
        if writer.width_of_current_line + len(" [100%]") + 1 >= writer.fullwidth:
            writer.line()


class FailureText:
    """The text of a failed gate: wrapped on a terminal, on one line everywhere else."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.reprcrash = SimpleNamespace(message=text)

    def toterminal(self, tw: Any) -> None:
        """Write it, as pytest asks of whatever stands for a failure."""
        for line in wrapped(self.text, tw.fullwidth, ""):
            tw.line(line)

    def __str__(self) -> str:
        """The text itself."""
        return self.text


def _report(gate: GateReport, location: tuple[str, int | None, str]) -> pytest.TestReport:
    text = shown(gate.text)
    # An error is what a broken set-up is to pytest; only that is counted, and written to JUnit, as one.
    when: Any = "setup" if gate.outcome == "error" else "call"
    outcome: Any = {"error": "failed", INCONCLUSIVE: "passed"}.get(gate.outcome, gate.outcome)
    skipped = (gate.prefix, 0, f"Skipped: {text}")
    longreprs: dict[str, Any] = {"skipped": skipped, "failed": FailureText(text)}
    longrepr = longreprs.get(outcome)
    properties: list[tuple[str, object]] = list(gate.properties.items())
    if outcome == "passed":
        properties.append(("says", text))
    report = pytest.TestReport(gate.nodeid, location, {}, outcome, longrepr, when, user_properties=properties)
    report.slmsec_gate = gate.outcome  # type: ignore[attr-defined]
    return report
