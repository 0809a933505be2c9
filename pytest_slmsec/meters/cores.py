"""How many processor cores this process may use: the number of threads that a model is computed with.

Threads beyond that wait for each other. Two hardware threads of one core share its arithmetic units, and a container
with a quota of CPU time is stopped for the rest of each period once its threads have used it up.

References: https://docs.kernel.org/admin-guide/cgroup-v2.html (``cpu.max``),
https://docs.kernel.org/scheduler/sched-bwc.html (``cpu.cfs_quota_us``),
https://docs.kernel.org/admin-guide/cputopology.html (``core_cpus_list``).
"""

from __future__ import annotations

import math
import os
from pathlib import Path

from pytest_slmsec.meters.control_groups import SYSTEM, group_folders, read


def usable_cores(system: Path = SYSTEM) -> int:
    """Physical cores among the processors of this process, at most as many as its quota of CPU time pays for.

    Args:
        system: root of the file system that holds ``proc`` and ``sys``. Where they say nothing, as on Windows and
            macOS, each processor counts as a core.
    """
    quota = cpu_quota(system)
    cores = _physical_cores(system)
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def _processors() -> list[int]:
    affinity = getattr(os, "sched_getaffinity", None)
    return sorted(affinity(0)) if affinity else list(range(os.cpu_count() or 1))


def _physical_cores(system: Path) -> int:
    """Processors that share a core count once."""
    folder = system / "sys/devices/system/cpu"
    cores = {read(folder / f"cpu{one}/topology/core_cpus_list") or str(one) for one in _processors()}
    return len(cores)


def cpu_quota(system: Path = SYSTEM) -> float | None:
    """Processors' worth of CPU time a period that the control groups of this process allow; None without a limit."""
    quotas = [_quota_of(folder) for folder in group_folders(system, "cpu")]
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_of(folder: Path) -> float | None:
    limit = (read(folder / "cpu.max") or "").split()
    if not limit:
        limit = [read(folder / "cpu.cfs_quota_us") or "", read(folder / "cpu.cfs_period_us") or ""]
    quota, period = limit
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # "max", -1: no limit
        return None
    return int(quota) / int(period)
