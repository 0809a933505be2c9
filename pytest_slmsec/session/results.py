"""Puts measurements on test reports in each process, and collects them in the main process."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from pytest_slmsec.collection.cases import Case, Evaluation, NoItems, case_of, no_items_of, unfit_of
from pytest_slmsec.core.items import Answer
from pytest_slmsec.gates.statistics.sequential_design import FACT
from pytest_slmsec.gating.marker import marked
from pytest_slmsec.reports import payload
from pytest_slmsec.scoring.metrics import find_metric
from pytest_slmsec.session.state import SessionState
from pytest_slmsec.session.transcript import Transcript


class ResultsPlugin:
    """Attaches each answer to its report, and collects the results from the reports."""

    def __init__(self, state: SessionState, transcript: Transcript) -> None:
        self._state, self._transcript = state, transcript
        self._with_header: set[Evaluation] = set()
        self._batches_sent: set[tuple[Evaluation, int]] = set()
        self._metrics: dict[str, Any] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Fail a case without a valid measurement before its body can look at the answer."""
        answer = getattr(item, "funcargs", {}).get("answer")
        if isinstance(answer, Answer) and answer.error is not None:
            pytest.fail(answer.error, pytrace=False)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the measurement to the report, and give each case its own share of its window's time."""
        report: Any = yield
        case = case_of(item)
        if report.skipped:
            self._attach_reason(report, item, case)
        if case is None:
            return report  # type: ignore[no-any-return]
        if report.when == "setup":
            report.duration = 0.0  # the window ran here, for all of its cases
        elif report.when == "call":
            taken = self._state.run.take(case)
            if taken is not None:
                self._attach(report, item, case, *taken)
        return report  # type: ignore[no-any-return]

    def _attach_reason(self, report: Any, item: pytest.Item, case: Case | None) -> None:
        """Attach to a skipped report that its benchmark cannot be asked, or has no items."""
        unfit = unfit_of(item) if case is None else self._state.run.unfit(case.evaluation)
        if unfit is not None:
            report.slmsec_unfit = [unfit.model, unfit.benchmark, unfit.why]
        missing = no_items_of(item) if case is None else self._no_items(case)
        if missing is not None:
            report.slmsec_no_items = list(missing)

    def _no_items(self, case: Case) -> NoItems | None:
        name = case.evaluation.task.name
        why = self._state.without_items.get(name)
        return None if why is None else NoItems(name, why)

    def _attach(self, report: Any, item: pytest.Item, case: Case, answer: Answer, batch: Any) -> None:
        state = self._state
        report.slmsec = data = {
            "row": payload.row(case, answer, state.trained_on.seen(case)), "reused": state.run.is_reused(batch),
        }  # fmt: skip
        if batch is not None and (case.evaluation, id(batch)) not in self._batches_sent:
            self._batches_sent.add((case.evaluation, id(batch)))
            data["batch"] = payload.batch(batch)
        if case.evaluation not in self._with_header:
            self._with_header.add(case.evaluation)
            data["header"] = self._header(item, case.evaluation)
            self._metrics[case.evaluation.label] = case.evaluation.metric
        if state.settings.transcript:
            data["transcript"] = payload.transcript(case, answer, state.run.info)
        report.duration = answer.seconds or 0.0
        score = answer.score
        if score is None:
            return
        item.user_properties += [("correct", score.correct), ("score", score.value), ("parsed", score.parsed)]
        report.user_properties = list(item.user_properties)
        if not score.correct and report.passed and state.settings.wrong != "pass":
            _show_wrong(report, answer, state.settings.wrong)

    def _header(self, item: pytest.Item, evaluation: Evaluation) -> dict[str, Any]:
        """The facts about an evaluation that its first report carries."""
        header = payload.header(evaluation, self._state.run.info, item.nodeid.partition("::")[0])
        header["gate"] = marked(item)
        header |= self._state.trained_on.header
        if self._state.device is not None:
            header |= self._state.device.facts(evaluation)
        gating = self._state.gating
        design = gating.stopping.design(evaluation) if gating is not None else None
        if design is not None:
            header[FACT] = design.to_json()
        return payload.plain(header)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: Any) -> None:
        """Complete the results in the main process; under xdist the payload came with the report."""
        state = self._state
        unfit = getattr(report, "slmsec_unfit", None)
        if unfit is not None and not state.is_worker:
            state.unfit[tuple(unfit)] = None
        missing = getattr(report, "slmsec_no_items", None)
        if missing is not None:
            state.without_items[missing[0]] = missing[1]
        data = getattr(report, "slmsec", None)
        if data is None or state.is_worker:
            return
        state.results.add(data, self._metric(data), getattr(report, "item_index", 0))  # xdist's
        state.reused += data["reused"]
        state.answered += 1
        if "transcript" in data:
            self._transcript.write({**data["row"], **data["transcript"]})

    def _metric(self, data: dict[str, Any]) -> Any:
        label = data["row"]["group"]
        if label not in self._metrics:
            self._metrics[label] = find_metric(data["header"]["metric"])
        return self._metrics[label]


def _show_wrong(report: Any, answer: Answer, outcome: str) -> None:
    """Show a wrong answer as ``--slmsec-wrong`` says: as a failure, or as an expected failure."""
    sentence = f"wrong answer: {answer.choice!r}, right is {answer.item.gold!r}"
    if outcome == "fail":
        report.outcome, report.longrepr = "failed", sentence
    else:
        report.outcome, report.wasxfail = "skipped", sentence
