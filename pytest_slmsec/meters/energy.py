"""Energy over a stretch of time, from the first counter that this machine has and lets us read.

* A process that computes on a GPU: NVML's counter of that GPU (Volta and newer).
* Else RAPL's counters of all processor packages, through powercap. They wrap at `max_energy_range_uj`, and since
  CVE-2020-8694 only root may read them. https://docs.kernel.org/power/powercap/powercap.html
* Else a battery that discharges. https://docs.kernel.org/power/power_supply_class.html

All three count the whole device (GPU, package, machine), whoever uses it. What it takes when nothing is asked is
measured beside it (`idle_power`). Nothing is estimated here: an unknown energy is None with the reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pytest_slmsec.meters import battery, rapl
from pytest_slmsec.meters.nvml import Gpu, ask

UJ_PER_J = 1_000_000
UJ_PER_MJ = 1000
IDLE_S = 1.0
MOST_W = 20_000.0
"""No machine that runs a small model takes more. A counter that seems to was set back, and did not wrap."""
SYSTEM = Path("/")
NVML = "GPU (NVML)"


@dataclass(frozen=True, slots=True)
class Count:
    """A reading of a counter.

    Attributes:
        source: which counter; None where there is none, and `reason` says why.
        microjoules: of each of its parts. wraps_at: where each begins anew; None where it does not.
        at: when, in seconds of a monotonic clock.
    """

    source: str | None
    microjoules: tuple[int, ...] = ()
    wraps_at: tuple[int | None, ...] = ()
    reason: str | None = None
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Energy:
    """Joules between two readings, and which counter gave them; None with a reason where they were not counted."""

    energy_j: float | None
    reason: str | None
    source: str | None = None


def read_counter(gpu: Gpu, system: Path = SYSTEM) -> Count:
    """The counter now.

    Args:
        gpu: the GPU that this process computes on, or none. system: root of the file system that holds ``sys``.
    """
    if gpu.nvml is not None:
        found = ask(gpu, "energy", lambda nvml, handle: nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
        if found.value is None:
            return Count(None, reason=found.reason)
        return Count(NVML, (found.value * UJ_PER_MJ,), (None,))
    packages = rapl.read(system)
    if isinstance(packages, rapl.Packages):
        return Count(rapl.SOURCE, packages.microjoules, packages.wraps_at)
    drained = battery.read(system)
    if isinstance(drained, int):
        return Count(battery.SOURCE, (drained,), (None,))
    return Count(None, reason=f"{packages}; {drained}")


def between(before: Count, after: Count) -> Energy:
    """Energy from one reading to the next. It may be 0 over a time that is shorter than the steps of the counter."""
    if before.source is None or after.source is None:
        return Energy(None, before.reason or after.reason)
    if before.source != after.source or len(before.microjoules) != len(after.microjoules):
        return Energy(None, f"the counter changed from {before.source} to {after.source}")
    total = 0
    for first, last, wraps_at in zip(before.microjoules, after.microjoules, after.wraps_at, strict=True):
        spent = _spent(first, last, wraps_at)
        if spent is None or spent > MOST_W * UJ_PER_J * max(after.at - before.at, 1e-3):
            return Energy(
                None, f"the counter of the {before.source} went backwards, from {first} to {last} microjoules"
            )
        total += spent
    return Energy(total / UJ_PER_J, None, before.source)


def _spent(first: int, last: int, wraps_at: int | None) -> int | None:
    """Microjoules between two readings of one part; None where it went backwards and not by a wrap."""
    if last >= first:
        return last - first
    return None if wraps_at is None or first > wraps_at else wraps_at - first + last


@dataclass(frozen=True, slots=True)
class Power:
    """Watts, or None and the reason."""

    watts: float | None
    reason: str | None


def idle_power(read: Callable[[], Count], wait: Callable[[float], None] = time.sleep) -> Power:
    """What the counted device takes while this process waits for a second; at once None where nothing is counted."""
    before = read()
    if before.source is None:
        return Power(None, before.reason)
    wait(IDLE_S)
    after = read()
    spent = between(before, after)
    if not spent.energy_j:
        return Power(None, spent.reason or f"the counter of the {before.source} did not move within {IDLE_S:g} s")
    return Power(spent.energy_j / (after.at - before.at), None)
