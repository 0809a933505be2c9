"""The hooks of pytest-xdist that the main process of a run with models implements.

Reference: https://github.com/pytest-dev/pytest-xdist/blob/master/src/xdist/newhooks.py
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import SharedGpuWarning
from pytest_slmsec.distribute.gpus import ANY_GPU, GPU_KEY, GpuAssignment, gpus_for, shared_gpus_warning
from pytest_slmsec.distribute.units import WORKERS_KEY, UnitPlan

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

    from pytest_slmsec.distribute.scheduler import UnitScheduling

REPLACED = ("load", "loadgroup")
"""Values of ``--dist`` whose scheduler `UnitScheduling` replaces; ``load`` is the default of ``-n``."""


def auto_workers(settings: Settings) -> int | None:
    """The number of workers of ``-n auto``: one a GPU where there are several, else 0.

    0 means that all tests run in the main process. With one GPU that is the fastest, since the engine batches, and on
    a CPU torch uses all cores by itself.

    Returns:
        None where xdist decides: no model is named, or PYTEST_XDIST_AUTO_NUM_WORKERS is set.
    """
    if not settings.models or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    n_gpus = len(gpus_for(settings.engine.device))
    return n_gpus if n_gpus > 1 else 0


def number_of_workers(config: pytest.Config) -> int:
    """The number of workers that this run starts."""
    from xdist.workermanage import parse_tx_spec_config

    return len(parse_tx_spec_config(config))


class Distribution:
    """Plugin object of the main process, registered where xdist distributes the tests."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._settings = settings
        self._dist = config.option.dist
        self._n = number_of_workers(config)
        self._gpus = gpus_for(settings.engine.device)
        self._assignment = GpuAssignment(self._gpus)
        warning = shared_gpus_warning(self._n, self._gpus)
        if warning is not None:
            config.issue_config_time_warning(SharedGpuWarning(warning), stacklevel=2)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> UnitScheduling | None:
        """The scheduler of whole units, unless ``--dist`` asks for another one."""
        if self._dist not in REPLACED:
            return None
        from pytest_slmsec.distribute.scheduler import UnitScheduling

        return UnitScheduling(config, log, UnitPlan.of(self._settings, self._n).cut)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Send a worker the number of workers, and its GPU where ``--slmsec-device`` does not name one."""
        if self._dist in REPLACED:
            node.workerinput[WORKERS_KEY] = self._n
        if self._gpus and self._settings.engine.device in ANY_GPU:
            node.workerinput[GPU_KEY] = self._assignment.assign(node.gateway.id)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """Free the GPU of a worker that has ended; one that replaces a crashed worker gets it."""
        self._assignment.release(node.gateway.id)
