"""Whether this machine can stand in for a device."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.devices.profile import GB, OPTION, Profile
from pytest_slmsec.meters.control_groups import memory_limit
from pytest_slmsec.meters.device import cpus_usable, memory_bytes
from pytest_slmsec.meters.nvml import gpu_count


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine has: bytes of memory (None: unknown), processors of this process, and whether it has a GPU."""

    memory_bytes: int | None
    cores: int
    has_gpu: bool = False


def this_machine() -> Machine:
    """The machine as this process sees it; memory by the control group, where that has less."""
    known = [size for size in (memory_bytes(), memory_limit()) if size is not None]
    return Machine(min(known, default=None), cpus_usable() or 1, gpu_count() > 0 or sys.platform == "darwin")


def check_fits(profile: Profile, machine: Machine, device: str) -> None:
    """Refuse a profile that this machine cannot stand in for.

    Args:
        device: what ``--slmsec-device`` says.

    Raises:
        UsageError: it has more than the machine, or no accelerator where the user names one.
    """
    remedy = "choose a smaller profile, or a larger machine"
    if profile.cores > machine.cores:
        raise UsageError(f"{OPTION}={profile.name}: it has {profile.cores} cores and this process may use "
                         f"{machine.cores}: {remedy}.")  # fmt: skip
    if machine.memory_bytes is not None and profile.memory_bytes > machine.memory_bytes:
        raise UsageError(f"{OPTION}={profile.name}: it has {profile.memory_gb:g} GB and this machine "
                         f"{machine.memory_bytes / GB:.1f} GB: {remedy}.")  # fmt: skip
    if profile.accelerator != "none" and not machine.has_gpu:
        raise UsageError(f"{OPTION}={profile.name}: it computes on {profile.accelerator}, and this machine has no such "
                         f"accelerator: {remedy}.")  # fmt: skip
    if profile.accelerator == "none" and device not in ("auto", "cpu"):
        raise UsageError(f"{OPTION}={profile.name}: it has no accelerator: leave out --slmsec-device={device}.")
