"""Runs as a page takes them: records out of files, and of each benchmark and model the newest run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.saved_runs import runs_from_json

COMMIT_DIGITS = 12
BASELINE = " (baseline)"
"""Behind the name of a stored model, where the run that is judged against it has a model of the same name."""
Key = tuple[str, str]
"""Benchmark and model."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One run of some models, stored or just finished.

    Attributes:
        where: the file, or what it is called. runs: its complete benchmarks.
        date: when it was made (ISO 8601), commit: what was checked out, version: of this project; empty: not known.
        machine: stable facts about the machine.
        seconds: of each item, or where the file holds sums only (``--benchmark-autosave``) its five quantiles.
        memory: peak of each batch in bytes, on the GPU where there is one.
        findings: of the sentinels. fidelity: distance of each candidate from its base.
    """

    where: str
    runs: tuple[BenchmarkRun, ...]
    date: str = ""
    commit: str = ""
    version: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[Key, list[float]] = field(default_factory=dict)
    findings: Sequence[Mapping[str, Any]] = ()
    fidelity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    memory: Mapping[Key, list[float]] = field(default_factory=dict)

    def of(self, runs: Sequence[BenchmarkRun]) -> Record:
        """The same record with some of its runs."""
        models = {run.model for run in runs}
        findings = [finding for finding in self.findings if finding.get("model") in models]
        return replace(self, runs=tuple(runs), findings=tuple(findings))


def record_from_json(content: Any, where: str) -> Record:
    """The record in the content of a file of ``--benchmark-json``.

    Raises:
        CompareError: it is none, or damaged; see `saved_runs.runs_from_json`.
    """
    runs = runs_from_json(content, where)
    own, commit = content["slmsec"], commit_text(content.get("commit_info") or {})
    return Record(
        where, tuple(runs), str(content.get("datetime") or ""), commit, str(own.get("version") or ""),
        (content.get("machine_info") or {}).get("slmsec") or {}, _seconds(content["benchmarks"]),
        tuple(own.get("sentinels") or ()), own.get("fidelity") or {},
        memory_of((*(own.get("groups") or ()), *(own.get("stopped") or ()))),
    )  # fmt: skip


def memory_of(groups: Iterable[Mapping[str, Any]]) -> dict[Key, list[float]]:
    """The peak of memory of each batch that has one, by benchmark and model, out of groups of a record."""
    found = {}
    for group in groups:
        batches = group.get("batches")
        if isinstance(batches, Mapping):
            peaks = _known(batches.get("peak_gpu_bytes")) or _known(batches.get("peak_rss_bytes"))
            found[str(group.get("benchmark")), str(group.get("model"))] = peaks
    return found


def _known(column: Any) -> list[float]:
    """The numbers in a column."""
    numbers = map(real, column) if isinstance(column, list) else ()
    return [number for number in numbers if number is not None]


def commit_text(info: Mapping[str, Any]) -> str:
    """A commit as pytest-benchmark describes it: its first digits, and whether files were changed since."""
    digits = str(info.get("id") or "")[:COMMIT_DIGITS]
    return f"{digits} (changed)" if digits and info.get("dirty") else digits


def real(value: Any) -> float | None:
    """A finite number of a record, or None: a record may hold anything."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if is_number else None


def _seconds(entries: Sequence[Any]) -> dict[Key, list[float]]:
    found: dict[Key, list[float]] = {}
    for entry in entries:
        params, stats = entry.get("params") or {}, entry.get("stats") or {}
        quantiles = [stats.get(name) for name in ("min", "q1", "median", "q3", "max")]
        values = [real(value) for value in stats.get("data") or quantiles]
        if params.get("metric") == "latency" and values and None not in values:
            found[str(params.get("benchmark")), str(params.get("model"))] = [
                value for value in values if value is not None
            ]
    return found


@dataclass(frozen=True, eq=False)
class Report:
    """All that one page is about.

    Attributes:
        records: oldest first. judgements: a verdict on each candidate. remarks: why others have none, in sentences.
    """

    records: tuple[Record, ...]
    judgements: tuple[Judgement, ...]
    remarks: tuple[str, ...] = ()

    @cached_property
    def newest(self) -> Mapping[Key, tuple[Record, BenchmarkRun]]:
        """Of each benchmark and model the run that was made last, with its record; in the order named."""
        return {(run.benchmark, run.model): (record, run) for record in self.records for run in record.runs}

    @cached_property
    def runs(self) -> list[BenchmarkRun]:
        """The newest run of each benchmark and model."""
        return [run for _, run in self.newest.values()]

    @cached_property
    def models(self) -> list[str]:
        """Names of all models, bases first among their own."""
        return list(dict.fromkeys(run.model for run in self.runs))

    @cached_property
    def benchmarks(self) -> list[str]:
        """Labels of all benchmarks, in the order of the file that named them first."""
        return list(dict.fromkeys(run.benchmark for run in self.runs))

    def number(self, model: str) -> int:
        """The place of a model, by which it has its mark and colour."""
        return self.models.index(model)

    def run(self, benchmark: str, model: str) -> BenchmarkRun | None:
        """The newest run, or None."""
        found = self.newest.get((benchmark, model))
        return None if found is None else found[1]


def in_time(records: Iterable[Record]) -> tuple[Record, ...]:
    """Records by their date; those of the same or no date in the order given."""
    return tuple(sorted(records, key=lambda record: record.date))
