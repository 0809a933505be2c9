"""Trust it? Hashes, engines, sentinels and licences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_slmsec.core.model_registry import shipped_registry
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.reports.page.markup import Markup, fold, paragraph, section, table, tag
from pytest_slmsec.reports.page.records import Report

DIGITS = 12


def origin_section(report: Report) -> Markup:
    """Models with engine and weights, benchmarks with items and scorer, and what the sentinels found."""
    return section("origin", "Trust it?", _findings(report), _models(report), _benchmarks(report))


def _findings(report: Report) -> Markup:
    found = [finding for record in report.records for finding in record.findings]
    if not found:
        return paragraph("The sentinels found no sign that a number is wrong (or did not look).")
    lines = [f"{one.get('benchmark')} on {one.get('model')}: {one.get('id')}. {one.get('fact')}" for one in found]
    return tag("div", paragraph("Signs that a number may be wrong:"), tag("ul", *(tag("li", text) for text in lines)))


def _models(report: Report) -> Markup:
    rows = []
    for model in report.models:
        run = next(run for run in report.runs if run.model == model)
        engine = run.facts.get("engine") or {}
        rows.append((model, str(engine.get("engine") or _recorded(run)), str(engine.get("device") or "-"),
                     str(engine.get("dtype") or "-"), _digits(engine.get("weights_sha256")),
                     _digits(engine.get("tokenizer_sha256")), _digits(engine.get("template_sha256")),
                     str(_licence(run))))  # fmt: skip
    headings = ("model", "engine", "device", "dtype", "weights", "tokenizer", "template", "licence")
    return table(headings, rows, "Models: engine, first digits of SHA-256, licence")


def _recorded(run: BenchmarkRun) -> str:
    recorded = run.facts.get("recorded") or {}
    return f"recorded answers: {recorded.get('file')}" if recorded else "-"


def _licence(run: BenchmarkRun) -> Any:
    entry: Mapping[str, Any] = shipped_registry().get(str(run.facts["base"]), {})
    return entry.get("licence") or "not known here"


def _benchmarks(report: Report) -> Markup:
    rows: list[tuple[object, ...]] = []
    for run in report.runs:
        facts = run.facts
        rows.append((run.benchmark, run.model, str(facts.get("source") or "-"), str(facts["scorer"]),
                     _digits(facts.get("items_sha256")), _digits(facts.get("decoding_sha256")),
                     str(facts.get("judge") or "-"), run.where))  # fmt: skip
    headings = ("benchmark", "model", "items from", "scorer", "items", "decoding", "judge", "record")
    as_table = table(headings, rows, "Benchmarks: where their numbers come from")
    return fold("Items, scorers and records of each benchmark", as_table)


def _digits(digest: Any) -> str:
    return str(digest)[:DIGITS] if digest else "-"
