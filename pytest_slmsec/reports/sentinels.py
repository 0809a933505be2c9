"""What the sentinels find in live and stored runs, and the lines that show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from pytest_slmsec.core.items import PAIR_VERDICTS, TRAINED_ON, VARIANT
from pytest_slmsec.core.wrap import WIDTH, shown, wrapped
from pytest_slmsec.engines.common.base import GUESSED
from pytest_slmsec.engines.common.quantized_share import FACT
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.sentinels.base import Evidence, Finding
from pytest_slmsec.sentinels.registry import SENTINELS, watch

DOCUMENTATION = "docs/sentinels.md"
PLACES = 3
"""Benchmarks shown in full for each sentinel and model. The record holds all of them."""
COLUMNS = (
    "item", "gold", "text", "logprobs", "extracted", "correct", "parsed", "hit_limit", "prompt_tokens", "new_tokens",
    "thought", "thought_tokens", TRAINED_ON, PAIR_VERDICTS, VARIANT,
)  # fmt: skip


def evidence_of_result(evaluated: EvaluationResult) -> Evidence:
    """What is known of a result of this run, complete or not."""
    rows = evaluated.measured()
    columns = {name: [{**row, **row["score"]}.get(name) for row in rows] for name in (*COLUMNS, "prompt_words")}
    facts = {**evaluated.header, "decode_tokens_per_s": evaluated.cost().decode_tokens_per_s}
    return _evidence(evaluated.label, evaluated.model, facts, columns)


def evidence_of_run(run: BenchmarkRun) -> Evidence:
    """What is known of a stored result."""
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
        quantized=extra.get(FACT),
        chat_template=extra.get("chat_template"),
        raw=bool((facts.get("decoding") or {}).get("raw")),
        kernel=engine.get("kernel"),
        device=engine.get("device"),
        decode_tokens_per_s=None if extra.get(GUESSED) else facts.get("decode_tokens_per_s"),
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
