"""Sentinels over a run and over stored runs: what they look at, and how their findings are told and counted.

They look in the main process only, which under xdist is the only one that sees all answers.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from pytest_slmsec.cli.recorded_runs import read_recorded
from pytest_slmsec.collection.ids import safe_id
from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.wrap import WIDTH, shown, wrapped
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.saved_runs import read_runs, stored_path
from pytest_slmsec.replay import benchmark_json
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults
from pytest_slmsec.reports.gate.test_reports import GateReport, show
from pytest_slmsec.sentinels.base import Evidence, Finding
from pytest_slmsec.sentinels.registry import SENTINELS, watch

PREFIX = "slmsec-sentinel"
DOCUMENTATION = "docs/sentinels.md"
PLACES = 3
"""Benchmarks that are told in full for each sentinel and model; the record holds all of them."""
FOUND, UNUSABLE = 1, 3
"""Exit statuses of the command."""
COLUMNS = (
    "item", "gold", "text", "logprobs", "extracted", "correct", "parsed", "hit_limit", "prompt_tokens", "new_tokens",
)  # fmt: skip


def evidence_of_result(group: EvaluationResult) -> Evidence:
    """What is known of a live group, complete or not."""
    rows = group.measured()
    columns = {name: [{**row, **row["score"]}.get(name) for row in rows] for name in (*COLUMNS, "prompt_words")}
    facts = {**group.header, "decode_tokens_per_s": group.cost().decode_tokens_per_s}
    return _evidence(group.label, group.model, facts, columns)


def evidence_of_run(run: BenchmarkRun) -> Evidence:
    """What is known of a stored group."""
    columns = {name: run.columns.get(name, ()) for name in (*COLUMNS, "prompt_words")}
    return _evidence(run.benchmark, run.model, run.facts, columns)


def _evidence(benchmark: str, model: str, facts: Mapping[str, Any], columns: Mapping[str, Sequence[Any]]) -> Evidence:
    per_item: dict[str, Any] = {name: list(column) for name, column in columns.items()}
    engine = facts.get("engine") or {}
    extra = engine.get("extra") or {}
    recorded = facts.get("recorded") or {}
    return Evidence(
        benchmark,
        model,
        task=str(facts.get("task") or ""),
        mode=facts.get("mode", "strict"),
        by_choice=bool(facts.get("by_choice")),
        quant=facts.get("quant"),
        batch=(recorded.get("costs") or {}).get("largest_batch"),
        begin_of_text=extra.get("begin_of_text"),
        chat_template=extra.get("chat_template"),
        raw=bool((facts.get("decoding") or {}).get("raw")),
        kernel=engine.get("kernel"),
        device=engine.get("device"),
        decode_tokens_per_s=facts.get("decode_tokens_per_s"),
        **per_item,
    )


def look(evidence: Iterable[Evidence], bases: Mapping[str, str]) -> list[Finding]:
    """All findings.

    Args:
        bases: the unquantised model that each quantised one was made from, by name.
    """
    known = list(evidence)
    speeds = {(one.benchmark, one.model, one.device): one.decode_tokens_per_s for one in known}
    found = []
    for one in known:
        base = speeds.get((one.benchmark, bases.get(one.model, ""), one.device))
        found += watch(replace(one, base_decode_tokens_per_s=base))
    return found


def tell(findings: Sequence[Finding], width: int = WIDTH) -> list[str]:
    """Lines for a terminal: each sentinel once with what it means, and below it where it fired, some places a model."""
    lines = []
    for sentinel in SENTINELS:
        of_each = groupby((finding for finding in findings if finding.id == sentinel.id), lambda finding: finding.model)
        facts = [fact for model, places in of_each for fact in _facts(model, list(places))]
        lines += wrapped(f"{sentinel.id}: {sentinel.says}", width) if facts else []
        lines += [f"  {line}" for fact in facts for line in wrapped(shown(fact), width - 2)]
    return [*lines, *(wrapped(f"What to do: {DOCUMENTATION}", width) if lines else ())]


def _facts(model: str, places: Sequence[Finding]) -> list[str]:
    facts = [f"{place.benchmark} on {model}: {place.fact}" for place in places[:PLACES]]
    more = len(places) - PLACES
    return [*facts, f"{model}: also on {more} more benchmark{'s' * (more > 1)}"] if more > 0 else facts


class Watch:
    """Registered in the main process of a run with models, unless ``--slmsec-sentinels=off``.

    Args:
        groups: completed by the session. fail: each finding is an error of the run.
    """

    def __init__(self, groups: EvaluationResults, fail: bool) -> None:
        self._groups, self._fail = groups, fail
        self.findings: list[Finding] = []

    def look(self) -> None:
        """Find, and hang each finding on its group, which carries it into the record."""
        groups = list(self._groups)
        bases = {group.model: str(group.header["base"]) for group in groups if group.header.get("quant")}
        self.findings = look([evidence_of_result(group) for group in groups if group.header], bases)
        for group in groups:
            group.findings = [f for f in self.findings if (f.benchmark, f.model) == (group.label, group.model)]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """Look once everything has run, or as far as it got."""
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


def look_at_stored(run: str, root: Path, data: str | None) -> int:
    """``slmsec sentinels RUN``: print what the sentinels find in a stored run.

    Args:
        run: a file of --benchmark-json, its number, or a recorded run. root: folder whose storage counts.
        data: folder of the published files, for recorded runs.

    Returns:
        0 where none fires, 1 where one does, 3 where the run cannot be read, which is one sentence.
    """
    try:
        path = root / Path(run).expanduser()
        stored = not path.exists() or benchmark_json.reads(path)
        data = data or os.environ.get("SLMSEC_DATA")
        runs = read_runs(stored_path(run, root)) if stored else read_recorded(path, data)
        bases = {run.model: str(run.facts["base"]) for run in runs if run.facts.get("quant")}
        findings = look([evidence_of_run(run) for run in runs], bases)
    except SlmsecError as error:
        print(f"slmsec: error: {error}", file=sys.stderr)
        return UNUSABLE
    groups = f"{len(runs)} group{'s' * (len(runs) != 1)}"
    print("\n".join(tell(findings)) if findings else f"No sentinel fires on the {groups} of {run}.")
    return FOUND if findings else 0
