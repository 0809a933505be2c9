"""Which candidate of a run is judged against which baseline, by its options and configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from pytest_slmsec.collection.cases import Evaluation
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.records.comparisons import LIVE, Comparison, live_comparisons, stored_comparisons, with_a_base
from pytest_slmsec.gates.records.saved_runs import read_runs, stored_path

FIXTURE = "slm_pair"


@dataclass(frozen=True, eq=False)
class PairCase:
    """One benchmark for one candidate and its base: what a test with the fixture `slm_pair` is run for.

    Attributes:
        candidate, base: what is asked of both; `base` is None where it is stored.
    """

    comparison: Comparison
    candidate: Evaluation
    base: Evaluation | None

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """The evaluations that are measured, the base first, because its model may still be loaded."""
        return (self.candidate,) if self.base is None else (self.base, self.candidate)


def pair_case_of(item: pytest.Item) -> PairCase | None:
    """The pair of a collected test, or None for all other tests."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get(FIXTURE) if callspec else None
    return case if isinstance(case, PairCase) else None


def baseline_of(config: pytest.Config, gate: GateConfig) -> str | None:
    """The base that was named, a stored run or ``live:MODEL``; None: each model against its own base in the run."""
    return config.option.slmsec_baseline or gate.baseline


def comparisons_of(config: pytest.Config, models: Sequence[ModelSpec], gate: GateConfig) -> list[Comparison]:
    """Every candidate with its base. Without a baseline to be updated yet there is none.

    Raises:
        UsageError: the base is no model of the run. CompareError: the stored run cannot be used.
    """
    baseline, update = baseline_of(config, gate), config.option.slmsec_update_baseline
    if baseline is None or baseline.startswith(LIVE):
        return live_comparisons(models, None if baseline is None else baseline.removeprefix(LIVE))
    if update and not (config.rootpath / baseline).expanduser().exists():
        return []
    path = stored_path(baseline, config.rootpath)
    runs = read_runs(path)
    return stored_comparisons(with_a_base(models, runs) if update else models, runs, str(path))
