"""All meters over the batches of one resident model, as plain data for the journal."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pytest_slmsec.meters import energy
from pytest_slmsec.meters.memory import MemoryMeter, MemoryUse
from pytest_slmsec.meters.nvml import Gpu, gpu_in_use


class Meters:
    """Measures one batch at a time: `begin`, run the batch, `end`.

    Args:
        system: root of the file system that holds the counters of energy.
    """

    def __init__(self, system: Path = energy.SYSTEM) -> None:
        self._memory = MemoryMeter()
        self._gpu = Gpu(None, None, "not looked for yet")
        self._system = system
        self._idle: energy.Power | None = None

    @classmethod
    def start(cls) -> Meters:
        """Meters for a model that is about to be loaded."""
        return cls()

    def begin(self) -> energy.Count:
        """A batch starts. Returns the energy counter, to be handed to `end`.

        Before the first batch, idle power is measured for a second, with the model loaded and nothing asked. Where
        nothing counts energy there is no such wait.
        """
        self._gpu = gpu_in_use()
        if self._idle is None:
            self._idle = energy.idle_power(self._count)
        self._memory.start()
        return self._count()

    def end(self, before: energy.Count) -> dict[str, Any]:
        """The batch has ended. Peaks in bytes, energy in joules, idle power in watts, which counter gave them, and
        under `reasons` why a value is None."""
        spent = energy.between(before, self._count())
        idle = self._idle or energy.Power(None, "not measured")
        use = asdict(self._memory.stop())
        reasons = {"energy_j": spent.reason, "energy_source": spent.reason, "idle_power_w": idle.reason}
        use["reasons"] |= {name: why for name, why in reasons.items() if why is not None}
        return {**use, "energy_j": spent.energy_j, "energy_source": spent.source, "idle_power_w": idle.watts}

    def _count(self) -> energy.Count:
        return energy.read_counter(self._gpu, self._system)

    def stop(self) -> None:
        """The model is unloaded; also after a batch that failed."""
        self._memory.stop_sampling()


class RemoteMeters(Meters):
    """Meters of a model that runs in another process: every value is None with the same reason."""

    REASON = "remote: the model runs in a server, whose memory and energy cannot be read from here"

    def begin(self) -> energy.Count:
        """A batch starts; there is nothing to read."""
        return energy.Count(None, reason=self.REASON)

    def end(self, before: energy.Count) -> dict[str, Any]:
        """The batch has ended: every value is None with the same reason."""
        memory = (field.name for field in fields(MemoryUse) if field.name != "reasons")
        values = dict.fromkeys([*memory, "energy_j", "energy_source", "idle_power_w"])
        return {**values, "reasons": dict.fromkeys(values, self.REASON)}
