"""Plain rows out of runs: scores, costs, items, models. Every reader of a record takes its numbers from here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.categories import CATEGORY
from pytest_slmsec.reports.page.records import real


def score_row(run: BenchmarkRun) -> dict[str, Any]:
    """The score of one benchmark on one model as it is recorded; None: not known."""
    facts = run.facts
    constant = facts.get("constant") or {}
    return {
        "benchmark": run.benchmark,
        "model": run.model,
        "metric": str(facts["metric"]),
        "higher_is_better": bool(facts["higher_is_better"]),
        "scale": float(facts["scale"]),
        "n": run.n,
        **{key: real(facts.get(key)) for key in ("score", "score_low", "score_high")},
        "constant_answer": constant.get("answer"),
        "constant": real(constant.get("value")),
    }


COSTS = ("prefill_tokens_per_s", "decode_tokens_per_s", "time_to_first_token_s", "energy_j")


def cost_row(run: BenchmarkRun) -> dict[str, Any]:
    """What one benchmark cost one model as it is recorded; None: not measured."""
    facts = run.facts
    engine, on_gpu = facts.get("engine") or {}, facts.get("peak_gpu_bytes")
    return {
        "benchmark": run.benchmark,
        "model": run.model,
        **{key: real(facts.get(key)) for key in COSTS},
        "peak_bytes": real(facts.get("peak_rss_bytes") if on_gpu is None else on_gpu),
        "model_bytes": real(engine.get("model_bytes")),
        "load_s": real(engine.get("load_s")),
    }


def item_row(run: BenchmarkRun, row: int) -> dict[str, Any]:
    """One item of a run: every column of the record, and the name of benchmark and model; always a category."""
    columns = {name: column[row] for name, column in run.columns.items()}
    return {"benchmark": run.benchmark, "model": run.model, "item": columns["item"], CATEGORY: None, **columns}


def quality(value: float, row: Mapping[str, Any]) -> float:
    """A value of a metric as a share of its scale, on which 1 is best."""
    share = value / float(row["scale"])
    return share if row["higher_is_better"] else 1 - share


def model_row(runs: Sequence[BenchmarkRun]) -> dict[str, Any]:
    """One model over all its benchmarks.

    `mean`: of the scores as shares of their scales, 1 is best; `low`, `high`: its bounds from the recorded intervals of
    independent benchmarks, which keep their asymmetry (variance estimates recovery, Zou & Donner, Statistics in
    Medicine 27:1693, 2008). `peak_bytes`: the highest; `decode_tokens_per_s`: new tokens behind the first of each
    answer, over the time that they took, of all benchmarks.
    """
    scores, costs = [score_row(run) for run in runs], [cost_row(run) for run in runs]
    return {
        "model": runs[0].model,
        **dict(zip(("mean", "low", "high"), _mean_quality(scores), strict=True)),
        "benchmarks": len([row for row in scores if row["score"] is not None]),
        "model_bytes": _most(row["model_bytes"] for row in costs),
        "peak_bytes": _most(row["peak_bytes"] for row in costs),
        "decode_tokens_per_s": _decode_speed(runs),
        "load_s": _most(row["load_s"] for row in costs),
        "energy_j": _sum(row["energy_j"] for row in costs),
    }


def _mean_quality(rows: Sequence[Mapping[str, Any]]) -> tuple[float | None, float | None, float | None]:
    known = [row for row in rows if row["score"] is not None]
    if not known:
        return None, None, None
    mean = fmean(quality(row["score"], row) for row in known)
    if any(row["score_low"] is None or row["score_high"] is None for row in known):
        return mean, None, None
    ends = [sorted(quality(row[end], row) for end in ("score_low", "score_high")) for row in known]
    middles = [quality(row["score"], row) for row in known]
    below = math.sqrt(sum((middle - low) ** 2 for (low, _), middle in zip(ends, middles, strict=True)))
    above = math.sqrt(sum((high - middle) ** 2 for (_, high), middle in zip(ends, middles, strict=True)))
    return mean, mean - below / len(known), mean + above / len(known)


def _decode_speed(runs: Sequence[BenchmarkRun]) -> float | None:
    known = [(real(run.facts.get("new_tokens")), real(run.facts.get("decode_tokens_per_s")), run.n) for run in runs]
    spent = [(tokens - n, (tokens - n) / rate) for tokens, rate, n in known if tokens and rate and tokens > n]
    return sum(tokens for tokens, _ in spent) / sum(seconds for _, seconds in spent) if spent else None


def _most(values: Iterable[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


def _sum(values: Iterable[Any]) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
