"""Entries for pytest-benchmark: four a benchmark and model, all of them "lower is better".

`Metadata` and `BenchmarkSession.benchmarks` are not documented API of pytest-benchmark; the pinned range is >=5.1,<6
and a contract test runs its own `compare` command on what is written here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from pytest_slmsec.core.items import PAIR_VERDICTS, TRAINED_ON
from pytest_slmsec.core.version import __version__
from pytest_slmsec.gates.records.constant_scores import CONSTANT
from pytest_slmsec.reports.energy import energy_facts
from pytest_slmsec.reports.evaluation_results import CONSTANT_PER_ITEM, EvaluationResult
from pytest_slmsec.reports.trained_on import training_facts
from pytest_slmsec.scoring.base import Result

MIB = 2**20
COLUMNS = ["mean", "ops", "rounds"]
FORMAT = 1
ITEM_KEYS = ("item", "gold", "text", "logprobs", "choice_scores", "prompt_tokens", "new_tokens", "hit_limit", "thought",
             "thought_tokens")  # fmt: skip
BATCH_TIMES = ("items", "seconds", "prefill_s", "decode_s", "prompt_tokens", "new_tokens")
BATCH_PEAKS = ("peak_rss_bytes", "peak_private_bytes", "peak_gpu_bytes")
PER_ITEM = ("item_sha256", CONSTANT_PER_ITEM)
"""Keys of a header that hold a value an item: they become columns."""
PARAM_KEYS = ("benchmark", "model", "base", "quant", "metric")


def add_entries(session: Any, results: Sequence[EvaluationResult]) -> None:
    """Append the entries of all complete results to pytest-benchmark's session.

    Partial results are left out: comparison goes by name alone, and a part must not stand under the name of the whole.
    One that stopped early goes by a name of its own, ``cti-mcq@300of500``.
    Where all entries are ours and the user chose no columns, the tables are narrowed to those that mean something here.
    """
    if not session.benchmarks and not session.config.getoption("benchmark_columns"):
        session.columns = COLUMNS
    session.compare_fail = [UnchangedZero(check) for check in session.compare_fail or ()]
    for evaluated in results:
        named = evaluated if evaluated.complete else _named_part(evaluated)
        result = named.result() if named is not None else None
        if named is not None and result is not None and result.value is not None:
            session.benchmarks.extend(entries(named, result, result.value))


class UnchangedZero:
    """A check of ``--benchmark-compare-fail`` for which 0 before and 0 now is no change.

    pytest-benchmark divides by the value before, so an error rate of 0 in both runs would be an infinite increase.
    Entries that are not ours are checked as pytest-benchmark does.

    Args:
        check: pytest-benchmark's own check of one field.
    """

    def __init__(self, check: Any) -> None:
        self._check = check

    def fails(self, current: Any, compared: Mapping[str, Any]) -> str | None:
        """The sentence on a regression, or None."""
        field = self._check.field
        is_ours = "slmsec_version" in (current.extra_info or {})
        if is_ours and current[field] == compared[field] == 0:
            return None
        found: str | None = self._check.fails(current, compared)
        return found


def _named_part(evaluated: EvaluationResult) -> EvaluationResult | None:
    part = evaluated.judged
    return None if part is None else replace(part, label=f"{evaluated.label}@{part.n_expected}of{evaluated.n_expected}")


def entries(evaluated: EvaluationResult, result: Result, value: float) -> list[Any]:
    """The entries of one complete result: latency (where times are known), generation (where text was generated),
    error_rate and memory. Latency carries all facts, or error_rate where there is none."""
    cost, shared = evaluated.cost(), extra_info(evaluated, result)
    made: list[Any] = []
    if cost.seconds_per_item:
        made.append(_entry(evaluated, "latency", "s/item", cost.seconds_per_item, shared, whole=True))
    if cost.seconds_per_token:
        made.append(_entry(evaluated, "generation", "s/token, OPS=tok/s", cost.seconds_per_token, shared))
    wrong, unit = error_rate(evaluated, value)
    made.append(_entry(evaluated, "error_rate", unit, (wrong,), shared, whole=not cost.seconds_per_item))
    if cost.peak_bytes is not None:
        made.append(_entry(evaluated, "memory", "MiB peak", (cost.peak_bytes / MIB,), shared))
    return made


def error_rate(evaluated: EvaluationResult, value: float) -> tuple[float, str]:
    """The headline number as a percentage in which lower is better, and its unit.

    Accuracy and F1 become the share that is wrong. A rate of failures stays as it is. A deviation becomes its share of
    the scale (1.31 of 10 CVSS points is 13.1). Percent, because values below 1 are printed as milliseconds.
    """
    share = value / evaluated.header["scale"]
    if evaluated.header["higher_is_better"]:
        name = "% wrong" if evaluated.header["metric"] == "accuracy" else f"100 - % {evaluated.header['metric']}"
        return 100 * (1 - share), name
    metric = evaluated.header["metric"]
    return 100 * share, f"% {metric}" if evaluated.header["scale"] == 1 else f"{metric}, % of scale"


def extra_info(evaluated: EvaluationResult, result: Result) -> dict[str, Any]:
    """Everything a later comparison needs, as plain data: score, counts, identities, per-item correctness, cost."""
    cost, header = evaluated.cost(), evaluated.header
    measured = {key: value for key, value in asdict(cost).items() if not key.startswith("seconds_per")}
    rows = evaluated.measured()
    n_correct = sum(bool(row["score"]["correct"]) for row in rows)
    return {
        "slmsec_version": __version__,
        **{key: header[key] for key in sorted(header) if key not in PER_ITEM},
        **training_facts(evaluated),
        "score": result.value,
        "score_low": result.low,
        "score_high": result.high,
        "accuracy": result.value if header["metric"] == "accuracy" else None,
        "n_items": len(rows),
        "n_scored": result.n,
        "n_valid": result.valid,
        "n_correct": n_correct,
        "n_errors": evaluated.n_errors,
        "n_hit_limit": evaluated.n_hit_limit,
        "n_fragile": evaluated.n_fragile,
        "extras": result.extras,
        "prompt_tokens": _sum(row["prompt_tokens"] for row in rows),
        "new_tokens": _sum(row["new_tokens"] for row in rows),
        "thought_tokens": _sum(row["thought_tokens"] for row in rows),
        "largest_batch": _largest_batch(evaluated),
        **measured,
        **energy_facts(evaluated, cost.energy_j, n_correct),
        "peaks_again": evaluated.peaks_again,
        "sentinels": [finding.id for finding in evaluated.findings],
        "correct_bits": evaluated.bits(),
        "parsed_bits": "".join("1" if row["score"]["parsed"] else "0" for row in rows),
    }


def answers(results: Sequence[EvaluationResult]) -> dict[str, Any]:
    """The section ``slmsec`` of the file: every item of every complete group, for re-scoring and paired comparison.

    Columns instead of rows keep it short: each value of `items` is a list in the order of the data set.
    """
    complete = [evaluated for evaluated in results if evaluated.complete]
    judged = [evaluated.judged for evaluated in results if not evaluated.complete]
    stopped = [part for part in judged if part is not None]
    return {
        "format": FORMAT,
        "version": __version__,
        "sentinels": [asdict(finding) for evaluated in results for finding in evaluated.findings],
        "groups": [columns(evaluated) for evaluated in complete],
        **({"stopped": [_stopped(part) for part in stopped]} if stopped else {}),
    }


def _stopped(part: EvaluationResult) -> dict[str, Any]:
    """The items of a benchmark that stopped early, in the order asked, with the facts, because it has no entry."""
    result = part.result()
    return {**columns(part), "facts": {} if result is None else extra_info(part, result)}


def columns(evaluated: EvaluationResult) -> dict[str, Any]:
    """Every item of one complete result, as columns."""
    rows = evaluated.measured()
    per_item: dict[str, list[Any]] = {key: [row[key] for row in rows] for key in ITEM_KEYS}
    per_item["sha256"] = evaluated.header["item_sha256"]
    if any(row.get("replies") for row in rows):
        per_item["replies"] = [row["replies"] for row in rows]
    for key in ("cluster", "category", TRAINED_ON, PAIR_VERDICTS, "variant", "first_token_s"):
        if any(row.get(key) is not None for row in rows):
            per_item[key] = [row.get(key) for row in rows]
    if all("prompt_words" in row for row in rows):
        per_item["prompt_words"] = [row["prompt_words"] for row in rows]
    if evaluated.header.get(CONSTANT_PER_ITEM) is not None:
        per_item[CONSTANT] = evaluated.header[CONSTANT_PER_ITEM]
    for key in ("value", "parsed", "correct", "extracted", "parts"):
        per_item[key] = [row["score"][key] for row in rows]
    batches = batch_columns(evaluated)
    known = {"batches": batches} if batches else {}
    return {"benchmark": evaluated.label, "model": evaluated.model, "items": per_item, **known}


def batch_columns(evaluated: EvaluationResult) -> dict[str, list[Any]]:
    """Items, seconds, tokens and peaks of memory of each batch, as columns; nothing of recorded answers."""
    if evaluated.header.get("recorded") is not None or not evaluated.batches:
        return {}
    times, peaks = ([batch[part] for batch in evaluated.batches] for part in ("timing", "meters"))
    return {
        **{key: [timing.get(key) for timing in times] for key in BATCH_TIMES},
        **{key: [peak.get(key) for peak in peaks] for key in BATCH_PEAKS},
    }


def _largest_batch(evaluated: EvaluationResult) -> int | None:
    recorded = evaluated.header.get("recorded")
    if recorded is not None:
        size: int | None = recorded["costs"].get("largest_batch")
        return size
    return max((batch["timing"]["items"] for batch in evaluated.batches), default=None)


def _sum(counts: Iterable[int | None]) -> int | None:
    """The sum of counts, or None where one of them is not known."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


def _entry(
    evaluated: EvaluationResult,
    metric: str,
    unit: str,
    data: Sequence[float],
    extra: dict[str, Any],
    whole: bool = False,
) -> Any:
    """One entry. `whole`: its `extra_info` has all facts, not only the small ones."""
    stats: Any = import_module("pytest_benchmark.stats")
    header, label = evaluated.header, evaluated.label
    values = (label, evaluated.model, header["base"], header["quant"] or "none", metric)
    name = f"{label}:{metric}[{evaluated.model}]"
    fixture = SimpleNamespace(
        name=name,
        fullname=f"{header['file']}::{name}",
        group=f"{label} {metric} ({unit})",
        params=dict(zip(PARAM_KEYS, values, strict=True)),
        param="-".join(values),
        extra_info=extra if whole else _brief(extra),
        cprofile_stats=None,
        has_error=False,
    )
    entry = stats.Metadata(fixture, iterations=1, options={})
    for value in data:
        entry.stats.update(value)
    return entry


def _brief(extra: dict[str, Any]) -> dict[str, Any]:
    """The small facts; the long per-item lists are in one other entry."""
    return {key: value for key, value in extra.items() if not isinstance(value, (list, dict)) and "_bits" not in key}


def machine_info(info: dict[str, Any], facts: dict[str, Any]) -> None:
    """Add stable facts about the machine, and take out the clock rate of the moment, which differs from run to run."""
    cpu = info.get("cpu")
    if isinstance(cpu, dict):
        for key in ("hz_actual", "hz_actual_friendly"):
            cpu.pop(key, None)
    info["slmsec"] = facts
