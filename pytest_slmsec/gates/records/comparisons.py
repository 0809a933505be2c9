"""Which candidate is judged against which baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun

LIVE = "live:"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate of this run, and the baseline it is judged against.

    Attributes:
        candidate: the model that is judged.
        baseline: the model of this run that the candidate was made from, or None where this run has none. Speed and
            KL are measured with both models loaded, so they need it even where scores are judged against a file.
        stored_runs: the runs of a stored baseline that scores are judged against; empty where they are judged against
            `baseline`.
    """

    candidate: ModelSpec
    baseline: ModelSpec | None
    stored_runs: tuple[BenchmarkRun, ...] = ()

    @property
    def live_baseline(self) -> ModelSpec | None:
        """The model of this run that scores are judged against; None where they are judged against stored runs."""
        return None if self.stored_runs else self.baseline


def is_plain(spec: ModelSpec) -> bool:
    """Whether a model is its base as it was published."""
    return spec.quant is None and spec.adapter is None


def is_unquantised(spec: ModelSpec) -> bool:
    """Whether a model computes with the weights of its base and adapter, in whatever dtype."""
    return spec.quant is None or spec.quant in DTYPES


def live_comparisons(models: Sequence[ModelSpec], base_name: str | None) -> list[Comparison]:
    """Each model that is made from a base against that base; with `base_name`, every other model against that one.

    ``base-fp16`` is judged against ``base``. A quantised model without ``base`` in the run is judged against
    ``base-fp16`` where that is there. ``base-gptq4+adapter`` is judged against ``base+adapter``, and only without that
    against ``base``.

    Raises:
        UsageError: no model of the run has that name.
    """
    if base_name is not None:
        named = [spec for spec in models if base_name in spec.names]
        if not named:
            raise UsageError(f'[tool.slmsec.gate] baseline = "{LIVE}{base_name}": this run has no --model={base_name}.')
        return [Comparison(spec, named[0]) for spec in models if spec is not named[0]]
    found = [(spec, next(iter(_bases(spec, models)), None)) for spec in models]
    return [Comparison(spec, base) for spec, base in found if base is not None]


def _bases(candidate: ModelSpec, models: Sequence[ModelSpec]) -> list[ModelSpec]:
    """The models of a run that a candidate was made from, the nearest first."""
    same = [spec for spec in models if spec.base == candidate.base and is_unquantised(spec) and spec != candidate]
    tuned = [spec for spec in same if spec.adapter == candidate.adapter]
    plain = [spec for spec in same if spec.adapter is None] if candidate.adapter is not None else []
    if candidate.quant is None:
        return _widest_first(plain)
    found = _widest_first(tuned) + _widest_first(plain)
    # One dtype is not judged against another: neither is the base of the other.
    return [spec for spec in found if not is_unquantised(candidate) or spec.quant is None or spec in plain]


def _widest_first(specs: Sequence[ModelSpec]) -> list[ModelSpec]:
    """Without a dtype in its name first; otherwise in the order of the command line."""
    return sorted(specs, key=lambda spec: spec.quant is not None)


def with_a_base(models: Sequence[ModelSpec], runs: Sequence[BenchmarkRun]) -> list[ModelSpec]:
    """The models that are stored themselves, or whose base is; an update of a baseline takes in the others as new."""
    stored = {run.model for run in runs} | {run.facts["base"] for run in runs}
    return [spec for spec in models if spec.name in stored or spec.base in stored]


def stored_comparisons(models: Sequence[ModelSpec], runs: Sequence[BenchmarkRun], where: str) -> list[Comparison]:
    """Each model against the stored one of its name, else its unquantised base, else the only one in the file.

    Raises:
        CompareError: none of these is there.
    """
    baselines = {comparison.candidate: comparison.baseline for comparison in live_comparisons(models, None)}
    return [Comparison(spec, baselines.get(spec), _stored_base(spec, runs, where)) for spec in models]


def _stored_base(spec: ModelSpec, runs: Sequence[BenchmarkRun], where: str) -> tuple[BenchmarkRun, ...]:
    names = list(dict.fromkeys(run.model for run in runs))
    same = [a for a in runs if a.facts["base"] == spec.base]
    own = spec.adapter and spec.adapter.name
    plain = [
        a.model
        for adapter in dict.fromkeys((own, None))
        for quants in ((None,), DTYPES)
        for a in same
        if a.facts["quant"] in quants and a.facts.get("adapter") == adapter
    ]
    if spec.name in names:
        chosen = spec.name
    elif plain:
        chosen = plain[0]
    elif len(names) == 1:
        chosen = names[0]
    else:
        raise CompareError(f"{where} holds {', '.join(names)}, but neither {spec.name} nor {spec.base}: there is no "
                           "base to judge it against.")  # fmt: skip
    return tuple(run for run in runs if run.model == chosen)
