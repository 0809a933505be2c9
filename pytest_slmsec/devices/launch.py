"""Enforced limits: the whole run in a control group of its own, made by systemd-run or docker.

systemd.resource-control(5): MemoryMax, MemorySwapMax, CPUQuota, AllowedCPUs. docker run: --memory, --memory-swap,
--cpus, --network none. The run inside is told by `MARK` who limits it, and checks that against its own control group.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.devices.profile import OPTION, Profile
from pytest_slmsec.meters.control_groups import SYSTEM, memory_limit

MARK = "SLMSEC_LIMITED_BY"
"""Environment variable of a run inside limits: the launcher's name."""
SYSTEMD, DOCKER = "systemd-run", "docker"
TRIAL = (
    "import sys; from pytest_slmsec.meters.control_groups import memory_limit; limit = memory_limit(); "
    "sys.exit(limit is None or limit > int(sys.argv[1]))"
)
"""Program that ends well where this process is limited to so many bytes."""
TRIAL_S = 20
SPARE = 1.01
"""A limit in whole pages may lie this much above the profile's."""


def systemd_command(profile: Profile, command: Sequence[str], as_root: bool) -> list[str]:
    """A command under systemd-run, in the user's own manager unless it runs as root."""
    limits = {
        "MemoryMax": str(profile.memory_bytes),
        "MemorySwapMax": "0",
        "CPUQuota": f"{100 * profile.cores}%",
        "AllowedCPUs": f"0-{profile.cores - 1}",
    }
    properties = [word for name, value in limits.items() for word in ("-p", f"{name}={value}")]
    return [SYSTEMD, "--scope", "--quiet", *([] if as_root else ["--user"]), *properties, "--", *command]


def docker_command(profile: Profile, command: Sequence[str], folder: Path) -> list[str]:
    """A command in a container without network, in the same folder as here.

    Raises:
        UsageError: the profile names no image.
    """
    if profile.image is None:
        raise UsageError(
            f"{OPTION}={profile.name}: docker needs an image: set [tool.slmsec.devices.{profile.name}] image."
        )
    return [
        DOCKER, "run", "--rm", f"--memory={profile.memory_bytes}", f"--memory-swap={profile.memory_bytes}",
        f"--cpus={profile.cores}", "--network=none", f"--volume={folder}:{folder}", f"--workdir={folder}",
        f"--env={MARK}={DOCKER}", profile.image, *command,
    ]  # fmt: skip


def works(command: Sequence[str]) -> bool:
    """Whether a trial command ends well."""
    if shutil.which(command[0]) is None:
        return False
    try:
        return subprocess.run(command, capture_output=True, timeout=TRIAL_S, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def find_launcher(profile: Profile) -> str | None:
    """What can limit a process here: `SYSTEMD`, `DOCKER` (where the profile names an image), or None.

    systemd-run also ends well where its manager has no say over memory, so the trial looks whether it is limited.
    """
    if works(
        systemd_command(profile, [sys.executable, "-c", TRIAL, str(round(profile.memory_bytes * SPARE))], is_root())
    ):
        return SYSTEMD
    if profile.image is not None and works([DOCKER, "image", "inspect", profile.image]):
        return DOCKER
    return None


def relaunch(launcher: str, profile: Profile, arguments: Sequence[str], python: str, folder: Path) -> int:
    """Run pytest with the same arguments inside limits; its exit status."""
    if launcher == SYSTEMD:
        command = systemd_command(profile, [python, "-m", "pytest", *arguments], is_root())
    else:
        command = docker_command(profile, ["python", "-m", "pytest", *arguments], folder)
    return subprocess.run(command, cwd=folder, env={**os.environ, MARK: launcher}, check=False).returncode


def is_root() -> bool:
    """Whether this process runs as root."""
    return getattr(os, "geteuid", lambda: 1)() == 0


def limited_by(environment: Mapping[str, str]) -> str | None:
    """The launcher that this process was started by, or None."""
    return environment.get(MARK) or None


def check_limited(profile: Profile, launcher: str, system: Path = SYSTEM) -> None:
    """Refuse to call limits enforced that are not there.

    Raises:
        UsageError: the control group of this process has no such limit of memory.
    """
    limit = memory_limit(system)
    if limit is None or limit > profile.memory_bytes * SPARE:
        raise UsageError(
            f"{OPTION}={profile.name}: {MARK} says that {launcher} limits this process, and its control group allows "
            f"{'any' if limit is None else limit} bytes of memory: unset {MARK}."
        )
