"""What the gate works on at the end of a pytest run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.tasks.base import Task


@dataclass(frozen=True, slots=True)
class GatedRun:
    """A finished pytest run, as the gate sees it.

    Attributes:
        option: values of the command line. settings: of the run. gate: what is tolerated.
        results: everything that was measured. cases: everything that was selected; empty under pytest-xdist, where
            only the workers collect.
        make_engine: loads a model in this process, while another one is loaded.
        ask: asks a model and journals its answers; see `execution.runner.Run.ask`.
        child_settings: with which another process loads a model; None where only this process can load it, because
            an engine comes from another plugin.
    """

    option: Any
    settings: Settings
    gate: GateConfig
    results: EvaluationResults
    cases: Sequence[Case]
    make_engine: Callable[[ModelSpec], Engine]
    ask: Callable[[ModelSpec, Sequence[Request], str], list[Output]]
    child_settings: EngineSettings | None

    @property
    def models(self) -> list[ModelSpec]:
        """The models of the selected cases, in their order."""
        return list(dict.fromkeys(case.evaluation.model for case in self.cases))

    @property
    def tasks(self) -> Mapping[str, Task]:
        """The benchmarks of the selected cases by name, the user's own ones among them."""
        return {case.evaluation.task.name: case.evaluation.task for case in self.cases}
