"""What the plugin objects of one pytest run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pytest_slmsec.collection.trained_on import TrainedOn
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.execution.runner import Run
from pytest_slmsec.reports.evaluation_results import EvaluationResults
from pytest_slmsec.tasks.base import Task

if TYPE_CHECKING:
    from pytest_slmsec.gating.pair_runs import PairRuns
    from pytest_slmsec.gating.plugin import Gating
    from pytest_slmsec.session.device_profile import DeviceRun


@dataclass
class SessionState:
    """The state of one pytest run in which models were named.

    Attributes:
        run: answers the cases of this process. pair_runs: answers the cases behind tests with `slm_pair`.
        trained_on: knows which items stand in the training data.
        results: everything measured, collected in the main process. gating: the gate; None in workers and without it.
        unfit: (model, benchmark, reason) of every benchmark that a model cannot be asked.
        without_items: benchmarks whose items could not be read, with the reason.
        reused: answers taken from an earlier run. answered: answers in all.
        problem: a sentence that makes the run red at its end, or None.
        stopped_early: the run was interrupted. own_tasks: benchmarks of the collected tests, by name.
        device: the device profile of the run, or None.
        left_out: benchmarks of the collected tests that ``--slmsec-benchmarks`` does not name.
    """

    config: pytest.Config
    settings: Settings
    run: Run
    pair_runs: PairRuns
    trained_on: TrainedOn
    results: EvaluationResults = field(default_factory=EvaluationResults)
    gating: Gating | None = None
    unfit: dict[tuple[str, str, str], None] = field(default_factory=dict)
    without_items: dict[str, str] = field(default_factory=dict)
    reused: int = 0
    answered: int = 0
    problem: str | None = None
    stopped_early: bool = False
    own_tasks: dict[str, Task] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    device: DeviceRun | None = None

    @property
    def is_worker(self) -> bool:
        """Whether this process is a worker of pytest-xdist."""
        return hasattr(self.config, "workerinput")

    @property
    def is_distributed(self) -> bool:
        """Whether pytest-xdist distributes the tests of this run over workers."""
        return getattr(self.config.option, "dist", "no") != "no"
