"""The control groups of this process, and the memory that they allow.

References: https://docs.kernel.org/admin-guide/cgroup-v2.html (``memory.max``),
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html (``memory.limit_in_bytes``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

SYSTEM = Path("/")


def group_folders(system: Path, controller: str) -> Iterator[Path]:
    """The folders of the groups that this process is in and that have a controller, from the inside out.

    A group is also held to the limits of those around it. Inside a container the path of a group may not exist.

    Args:
        system: root of the file system that holds ``proc`` and ``sys``.
    """
    root = system / "sys/fs/cgroup"
    for line in (read(system / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            yield folder
            if folder == top:
                break


def memory_limit(system: Path = SYSTEM) -> int | None:
    """Bytes of memory that the control groups of this process allow; None without a limit."""
    limits = []
    for folder in group_folders(system, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = read(folder / name)
            if text is not None and text.isdigit():
                limits.append(int(text))
    return min(limits, default=None)


def read(file: Path) -> str | None:
    """The text of a small file without blanks around it; None where it cannot be read."""
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
