"""The hooks of pytest-xdist, in the main process of a run with models.

Reference: https://github.com/pytest-dev/pytest-xdist/blob/master/src/xdist/newhooks.py
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import SharedGpuWarning
from pytest_slmsec.distribute.gpus import ON_GPU, PINNED, Pins, crowded, gpus_for
from pytest_slmsec.distribute.units import SHARED_BY, Sharing

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.workermanage import WorkerController

    from pytest_slmsec.distribute.scheduler import UnitScheduling

OURS = ("load", "loadgroup")
"""Values of ``--dist`` that leave it to the scheduler what goes together; ``load`` is what ``-n`` means by itself."""


def auto_workers(settings: Settings) -> int | None:
    """Workers of ``-n auto``: one a GPU where there are several, else none: one process, which batches, is the fastest
    on one GPU, and torch uses all cores by itself. None: xdist decides, since no model is asked, or the user has said.
    """
    if not settings.models or "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    n = len(gpus_for(settings.engine.device))
    return n if n > 1 else 0


def number_of_workers(config: pytest.Config) -> int:
    """Workers that this run starts."""
    from xdist.workermanage import parse_tx_spec_config

    return len(parse_tx_spec_config(config))


class Distribution:
    """Registered where xdist distributes the tests."""

    def __init__(self, config: pytest.Config, settings: Settings) -> None:
        self._settings = settings
        self._dist = config.option.dist
        self._n = number_of_workers(config)
        self._gpus = gpus_for(settings.engine.device)
        self._pins = Pins(self._gpus)
        if said := crowded(self._n, self._gpus):
            config.issue_config_time_warning(SharedGpuWarning(said), stacklevel=2)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> UnitScheduling | None:
        """Our own scheduler, unless another one was asked for by name."""
        if self._dist not in OURS:
            return None
        from pytest_slmsec.distribute.scheduler import UnitScheduling

        return UnitScheduling(config, log, Sharing.of(self._settings, self._n).cut)

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Tell a worker how many share the units, and its GPU where the device does not name one."""
        if self._dist in OURS:
            node.workerinput[SHARED_BY] = self._n
        if self._gpus and self._settings.engine.device in ON_GPU:
            node.workerinput[PINNED] = self._pins.pin(node.gateway.id)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: WorkerController) -> None:
        """The worker that replaces one that crashed gets its GPU."""
        self._pins.release(node.gateway.id)
