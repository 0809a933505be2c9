"""A device profile: memory, cores, threads, accelerator, power; and how its limits are to hold here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.paths import PACKAGE
from pytest_slmsec.core.toml_files import check_keys, unknown
from pytest_slmsec.gates.policy.values import as_table

OPTION = "--slmsec-device-profile"
GB = 2**30
AUTO, ENFORCED, APPROXIMATE, OBSERVED = "auto", "enforced", "approximate", "observed"
HOW = (ENFORCED, APPROXIMATE, OBSERVED)
ACCELERATORS = ("none", "cuda", "mps")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a device has.

    Attributes:
        memory_gb: of 2^30 bytes. cores: that the model may use. threads: that it is computed with.
        accelerator: one of `ACCELERATORS`. power_limit_w: None: not known.
        image: docker image with this package in it, or None.
    """

    name: str
    memory_gb: float
    cores: int
    threads: int
    accelerator: str = "none"
    power_limit_w: float | None = None
    image: str | None = None

    @property
    def memory_bytes(self) -> int:
        """Memory in bytes."""
        return round(self.memory_gb * GB)

    @property
    def words(self) -> str:
        """``docker-sim (2 cores, 2 GB)``."""
        return f"{self.name} ({self.cores} core{'' if self.cores == 1 else 's'}, {self.memory_gb:g} GB)"

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the record."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The profile of a run, and how its limits are to hold: one of `HOW`, or `AUTO`."""

    profile: Profile
    how: str


@cache
def shipped_profiles() -> Mapping[str, Mapping[str, Any]]:
    """The profiles of this project, from `devices.toml`."""
    return tomllib.loads((PACKAGE / "devices.toml").read_text("utf-8"))


def choose(text: str, own: Mapping[str, Any]) -> Chosen:
    """The profile that ``NAME`` or ``NAME:HOW`` names.

    Args:
        own: the table ``[tool.slmsec.devices]``, which goes before the profiles of this project.

    Raises:
        UsageError: no such profile, named with a near match, or a value of it that cannot be.
    """
    name, colon, how = text.partition(":")
    known = {**shipped_profiles(), **own}
    if name not in known:
        raise UsageError(unknown(f"{OPTION}={text}", "there is no profile", name, known))
    if colon and how not in HOW:
        raise UsageError(unknown(f"{OPTION}={text}", "limits cannot hold as", how, HOW))
    return Chosen(read_profile(name, as_table(known[name], f"[tool.slmsec.devices.{name}]")), how or AUTO)


def read_profile(name: str, table: Mapping[str, Any]) -> Profile:
    """A profile from its table.

    Raises:
        UsageError: an unknown key, or a limit that is missing, zero or no number.
    """
    where = f"The device profile {name}"
    check_keys(where, table, [key for key in Profile.__slots__ if key != "name"])
    for key in ("memory_gb", "cores", "threads", "power_limit_w"):
        _check_limit(where, key, table.get(key, None if key == "power_limit_w" else 0))
    accelerator, image = table.get("accelerator", "none"), table.get("image")
    if accelerator not in ACCELERATORS:
        raise UsageError(f"{where}: accelerator = {accelerator!r}: must be one of {', '.join(ACCELERATORS)}.")
    if image is not None and (not isinstance(image, str) or not image or image.startswith("-")):
        raise UsageError(f"{where}: image = {image!r}: must be the name of a docker image.")
    return Profile(name, **{key: value for key, value in table.items() if value is not None})


def _check_limit(where: str, key: str, value: Any) -> None:
    if value is None:
        return
    kinds = (int,) if key in ("cores", "threads") else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not 0 < value < float("inf"):
        number = "a whole number" if kinds == (int,) else "a number"
        raise UsageError(f"{where}: {key} = {value!r}: a limit must be {number} above 0.")
