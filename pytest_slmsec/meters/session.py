"""All meters over the batches of one resident model, as plain data for the journal."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from pytest_slmsec.meters import energy
from pytest_slmsec.meters.memory import MemoryMeter, MemoryUse
from pytest_slmsec.meters.nvml import Gpu, Reading, gpu_in_use


class Meters:
    """Measures one batch at a time: `begin`, run the batch, `end`."""

    def __init__(self) -> None:
        self._memory = MemoryMeter()
        self._gpu = Gpu(None, None, "not looked for yet")

    @classmethod
    def start(cls) -> Meters:
        """Meters for a model that is about to be loaded."""
        return cls()

    def begin(self) -> Reading:
        """A batch starts. Returns the energy counter, to be handed to `end`."""
        self._gpu = gpu_in_use()
        self._memory.start()
        return energy.read_counter(self._gpu)

    def end(self, before: Reading) -> dict[str, Any]:
        """The batch has ended. Peaks in bytes, energy in joules, and under `reasons` why a value is None."""
        spent = energy.between(before, energy.read_counter(self._gpu))
        use = asdict(self._memory.stop())
        if spent.reason is not None:
            use["reasons"]["energy_j"] = spent.reason
        return {**use, "energy_j": spent.energy_j}

    def stop(self) -> None:
        """The model is unloaded; also after a batch that failed."""
        self._memory.stop_sampling()


class RemoteMeters(Meters):
    """Meters of a model that runs in another process: every value is None with the same reason."""

    REASON = "remote: the model runs in a server, whose memory and energy cannot be read from here"

    def begin(self) -> Reading:
        """A batch starts; there is nothing to read."""
        return Reading(None, self.REASON)

    def end(self, before: Reading) -> dict[str, Any]:
        """The batch has ended: every value is None with the same reason."""
        values = dict.fromkeys([*(field.name for field in fields(MemoryUse) if field.name != "reasons"), "energy_j"])
        return {**values, "reasons": dict.fromkeys(values, self.REASON)}
