"""Memory that this process may still take.

Reference: man 5 proc_meminfo (``MemAvailable``: without swapping).
"""

from __future__ import annotations

from pathlib import Path

from pytest_slmsec.meters.control_groups import SYSTEM, memory_limit, read
from pytest_slmsec.meters.memory import KIB, read_sample


def free_memory(system: Path = SYSTEM) -> int | None:
    """Bytes of main memory that are free for this process, a container's limit counted; None where not known."""
    available = [
        int(line.split()[1]) * KIB
        for line in (read(system / "proc/meminfo") or "").splitlines()
        if line.startswith("MemAvailable:")
    ]
    limit, used = memory_limit(system), read_sample().private
    if limit is not None and used is not None:
        available.append(max(0, limit - used))
    return min(available, default=None)
