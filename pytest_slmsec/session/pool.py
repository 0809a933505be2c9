"""A pool of replicas that answers for one pytest run (``--slmsec-pool``)."""

from __future__ import annotations

from collections.abc import Callable

from pytest_slmsec.config.files import read_gate
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.extras import require
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.pool_address import OPTION, refuse_public
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.execution.dispatch import Dispatch
from pytest_slmsec.session.state import SessionState


def check_pool(state: SessionState) -> None:
    """Refuse what does not go together with a pool, before anything is collected.

    Raises:
        pytest.UsageError: names the option or key, and what to do.
    """
    settings, option = state.settings, state.config.option
    assert settings.pool is not None
    try:
        refuse_public(settings.pool)
        gate = None if option.slmsec_no_gate else read_gate(state.config.rootpath, option.slmsec_preset)
    except SlmsecError as error:
        raise usage_error(error) from None
    if state.is_distributed or state.is_worker:
        raise usage_error(f"{OPTION} has replicas of its own: leave out -n (pytest-xdist).")
    if settings.merge:
        raise usage_error(f"{OPTION} asks models, and --slmsec-merge asks none: leave out one of the two.")
    if settings.device_profile is not None:
        raise usage_error(
            f"{OPTION}: the limits of --slmsec-device-profile hold in one process: leave out one of them."
        )
    if gate is not None and (gate.speed_rounds or gate.fidelity or gate.memory_runs > 1):
        raise usage_error(
            f"[tool.slmsec.gate] throughput.rounds, fidelity and memory.runs measure in one process: leave out "
            f"{OPTION}, or these."
        )
    try:
        require(OPTION, "ray", "ray")
    except SlmsecError as error:
        raise usage_error(error) from None


class PooledModels:
    """Loads models on the replicas of a pool, which is started when the first of them is needed.

    Args:
        settings_of: how a model is loaded. say: shows one line.
    """

    def __init__(
        self, state: SessionState, settings_of: Callable[[ModelSpec], EngineSettings], say: Callable[[str], None]
    ) -> None:
        self._state, self._settings_of, self._say = state, settings_of, say
        self._dispatch: Dispatch | None = None

    def load(self, spec: ModelSpec) -> Engine:
        """What stands for a model that a replica has loaded.

        Raises:
            ModelError: it cannot be loaded. PoolError, MissingExtraError, UsageError: the pool cannot be used.
        """
        if self._dispatch is None:
            self._dispatch = self._started()
        return self._dispatch.load(spec)

    def what_it_did(self) -> str | None:
        """A sentence about the work of the pool, if it was used."""
        if self._dispatch is None:
            return None
        tally = self._dispatch.tally
        again = f", {counted(tally.again, 'window')} asked again" if tally.again else ""
        answered = counted(tally.windows - tally.again, "window")
        died = f", {counted(tally.deaths, 'replica')} died" if tally.deaths else ""
        return (
            f"the pool answered {answered} on {counted(tally.replicas, 'replica')}"
            f"{again}{died}; {tally.wall_s:.1f} s of their time, {tally.cpu_s:.1f} s of their processors"
        )

    def _started(self) -> Dispatch:
        from pytest_slmsec.execution.ray_pool import RayPool

        settings = self._state.settings
        assert settings.pool is not None
        self._say(f"connecting to {settings.pool}")
        pool = RayPool(settings.pool, self._say)
        own_engines = self._state.config.hook.pytest_slmsec_make_engine.get_hookimpls()
        return self._state.run.use_pool(pool, self._settings_of, plan_all=not own_engines)
