"""The models of a stored run, and which of them was made from which."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.core.models import Adapter, ModelSpec
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparisons import live_comparisons


def stored_models(runs: Sequence[BenchmarkRun]) -> list[ModelSpec]:
    """The models of a file, in its order, as far as their names go; where they are found is not stored."""
    found: dict[str, ModelSpec] = {}
    for run in runs:
        own = run.facts.get("adapter")
        adapter = None if own is None else Adapter(own, "path", own)
        found.setdefault(run.model, ModelSpec(run.model, str(run.facts["base"]), run.facts["quant"], adapter))
    return list(found.values())


def stored_pairs(runs: Sequence[BenchmarkRun]) -> list[tuple[str, str]]:
    """Names of base and candidate of every model whose base is in the same file, as a run judges them by itself."""
    compared = live_comparisons(stored_models(runs), None)
    return [(one.baseline.name, one.candidate.name) for one in compared if one.baseline is not None]


def pairs_among(runs: Sequence[BenchmarkRun]) -> list[tuple[str, str]]:
    """The same for several files together; where no model's base is there, all others against the first model."""
    models = list(dict.fromkeys(run.model for run in runs))
    return stored_pairs(runs) or [(models[0], model) for model in models[1:]]


def of_model(runs: Sequence[BenchmarkRun], model: str) -> list[BenchmarkRun]:
    """The runs of one model."""
    return [run for run in runs if run.model == model]
