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

SYSTEM = Path("/")


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
    cores = {_read(folder / f"cpu{one}/topology/core_cpus_list") or str(one) for one in _processors()}
    return len(cores)


def cpu_quota(system: Path = SYSTEM) -> float | None:
    """Processors' worth of CPU time a period that the control groups of this process allow; None without a limit."""
    root = system / "sys/fs/cgroup"
    quotas = []
    for line in (_read(system / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        top = root if not controllers else root / controllers
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = top / path.lstrip("/")
        # A group is also held to the limits of those around it. Inside a container the path may not exist.
        for folder in (group, *group.parents):
            quotas.append(_quota_of(folder))
            if folder == top:
                break
    return min((quota for quota in quotas if quota is not None), default=None)


def _quota_of(folder: Path) -> float | None:
    limit = (_read(folder / "cpu.max") or "").split()
    if not limit:
        limit = [_read(folder / "cpu.cfs_quota_us") or "", _read(folder / "cpu.cfs_period_us") or ""]
    quota, period = limit
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:  # "max", -1: no limit
        return None
    return int(quota) / int(period)


def _read(file: Path) -> str | None:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
