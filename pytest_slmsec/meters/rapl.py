"""RAPL's energy counters of the processor packages, from powercap's files (Intel, and AMD since Linux 5.8)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

SOURCE = "processor package (RAPL)"
ZONE = re.compile(r"intel-rapl:\d+")
"""A zone by itself; ``intel-rapl:0:1`` is a part of one."""
NONE = "this machine shows no RAPL counters (/sys/class/powercap)"


class Packages(NamedTuple):
    """Microjoules of each package, and where each counter begins anew."""

    microjoules: tuple[int, ...]
    wraps_at: tuple[int | None, ...]


def read(system: Path) -> Packages | str:
    """The counters of all packages, or a sentence on why they cannot be read.

    Args:
        system: root of the file system that holds ``sys``.
    """
    folder = system / "sys/class/powercap"
    try:
        zones = sorted(zone for zone in folder.iterdir() if ZONE.fullmatch(zone.name) and _is_package(zone))
    except OSError:
        zones = []
    if not zones:
        return NONE
    counts = []
    for zone in zones:
        file = zone / "energy_uj"
        try:
            counts.append(int(file.read_text("ascii")))
        except PermissionError:
            return f"only root may read {file} (since CVE-2020-8694): run as root, or have it made readable"
        except (OSError, ValueError) as error:
            return f"{file} cannot be read ({error})"
    return Packages(tuple(counts), tuple(map(_range, zones)))


def _is_package(zone: Path) -> bool:
    """Whether a zone is a processor package; ``psys`` counts the packages once more."""
    try:
        return (zone / "name").read_text("ascii").startswith("package")
    except (OSError, ValueError):
        return False


def _range(zone: Path) -> int | None:
    try:
        return int((zone / "max_energy_range_uj").read_text("ascii"))
    except (OSError, ValueError):
        return None
