"""What was taken from a battery that discharges, from the files of the power supply class."""

from __future__ import annotations

from pathlib import Path

SOURCE = "battery, the whole machine"
UJ_PER_UWH = 3600
NONE = "no battery"


def read(system: Path) -> int | str:
    """Microjoules taken from all batteries, counted from an arbitrary start; or a sentence on why they do not tell.

    A battery counts in steps of some milliwatt-hours and seconds, so that a short stretch shows nothing. One that
    counts charge and no energy is taken at its design voltage, so that a change of voltage is not mistaken for energy.

    Args:
        system: root of the file system that holds ``sys``.
    """
    folder = system / "sys/class/power_supply"
    try:
        batteries = sorted(one for one in folder.iterdir() if _text(one / "type") == "Battery")
    except OSError:
        batteries = []
    if not batteries:
        return NONE
    left = 0
    for one in batteries:
        status = _text(one / "status")
        if status != "Discharging":
            return (
                f"the battery {one.name} does not discharge ({status or 'no status'}), so it does not tell what is used"
            )
        energy = _energy(one)
        if energy is None:
            return f"the battery {one.name} tells neither its energy nor its charge"
        left += energy
    return -left


def _energy(battery: Path) -> int | None:
    """Microjoules that are left in a battery, or None."""
    energy, charge, volts = (_number(battery / name) for name in ("energy_now", "charge_now", "voltage_min_design"))
    if energy is not None:
        return energy * UJ_PER_UWH
    if charge is None or volts is None:
        return None
    return charge * volts * UJ_PER_UWH // 1_000_000


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text is not None and text.isdigit() else None


def _text(file: Path) -> str | None:
    try:
        return file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
