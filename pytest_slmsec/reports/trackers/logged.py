"""What a tracker is given of each model: parameters, metrics, and files. The names are the same in every tracker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.policy.suite import Kind
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.reports.page.flips import changes
from pytest_slmsec.reports.page.records import Report, real
from pytest_slmsec.reports.page.rows import cost_row, model_row, score_row

SCORES = ("score", "score_low", "score_high", "constant", "n")
COSTS = ("prefill_tokens_per_s", "decode_tokens_per_s", "time_to_first_token_s", "energy_j", "peak_bytes")
WHOLE = ("model_bytes", "peak_bytes", "decode_tokens_per_s", "load_s", "energy_j")
CHANGES = ("lost", "gained", "worse", "better")
ENGINE = ("engine", "device", "dtype", "weights_sha256", "tokenizer_sha256", "template_sha256")


@dataclass(frozen=True)
class LoggedModel:
    """One run of a tracker: a model on all its benchmarks.

    Attributes:
        model: its name. date: when it was measured (ISO 8601); empty: not known.
        parameters: what it is and how it was asked. metrics: finite numbers, by names such as ``cti-mcq/fixture/score``
            in the unit of the record (docs/records.md); what is not known is left out.
    """

    model: str
    date: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]


class Tracker(Protocol):
    """What `registry.TRACKERS` names: a module with this function."""

    def log(self, model: LoggedModel, files: list[Path], experiment: str | None) -> str:
        """Store one run.

        Args:
            files: artifacts. experiment: under which the run stands; None: the tracker's own setting, or `EXPERIMENT`.

        Returns:
            Where the run is, for the reader.

        Raises:
            MissingExtraError: the tracker is not installed. TrackerError: it does not take the run.
        """


EXPERIMENT = "pytest-slmsec"


def logged_models(report: Report) -> list[LoggedModel]:
    """Each model of a report, over its newest runs."""
    judgements = {judgement.candidate: judgement for judgement in report.judgements}
    return [_model(report, model, judgements.get(model)) for model in report.models]


def metric_name(benchmark: str, name: str) -> str:
    """``cti-mcq/fixture/score`` for the benchmark ``cti-mcq@fixture``."""
    return f"{benchmark.replace('@', '/')}/{name}"


def _model(report: Report, model: str, judgement: Judgement | None) -> LoggedModel:
    runs = [run for run in report.runs if run.model == model]
    (record, first), whole = report.newest[runs[0].benchmark, model], model_row(runs)
    facts, engine = first.facts, first.facts.get("engine") or {}
    parameters = {
        "model": model,
        **{key: facts.get(key) for key in ("base", "quant", "adapter", "mode")},
        **{key: engine.get(key) for key in ENGINE},
        **{key: record.machine.get(key) for key in ("cpu", "gpu")},
        "commit": record.commit,
        "slmsec_version": record.version,
        **({} if judgement is None else {"verdict": judgement.verdict.value, "judged_against": judgement.base}),
        **{metric_name(run.benchmark, key): run.facts.get(key) for run in runs
           for key in ("metric", "scorer", "items_sha256")},
    }  # fmt: skip
    metrics = {
        **dict(zip(("mean_score", "mean_score_low", "mean_score_high"),
                   (whole[key] for key in ("mean", "low", "high")), strict=True)),
        **{key: whole[key] for key in WHOLE},
        **{metric_name(run.benchmark, key): value for run in runs for key, value in _measured(run)},
        **({} if judgement is None else dict(_judged(judgement))),
    }  # fmt: skip
    return LoggedModel(
        model, record.date,
        {key: str(value) for key, value in parameters.items() if value not in (None, "")},
        {key: float(value) for key, value in metrics.items() if real(value) is not None},
    )  # fmt: skip


def _measured(run: BenchmarkRun) -> Iterator[tuple[str, Any]]:
    """Score and costs of one benchmark."""
    row = {**score_row(run), **cost_row(run)}
    yield from ((key, row[key]) for key in (*SCORES, *COSTS))


def _judged(judgement: Judgement) -> Iterator[tuple[str, Any]]:
    """What changed on each benchmark, and the drop of its main score with bounds and limit."""
    for row in changes(judgement):
        yield from ((metric_name(row.benchmark, key), getattr(row, key)) for key in CHANGES)
    for judged in judgement.gates:
        if judged.member.kind is Kind.SCORE and judged.member.primary:
            r = judged.result
            found = {"drop": r.estimate, "drop_low": r.lower, "drop_high": r.upper, "drop_limit": r.margin}
            yield from ((metric_name(judged.benchmark, key), value) for key, value in found.items())
