"""Merges a run into a baseline: what the run measured is replaced, everything else is kept as it was accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Key = tuple[str, str]
"""Benchmark and model."""


@dataclass(frozen=True, slots=True)
class Merged:
    """A new baseline.

    Attributes:
        content: what is to be written. replaced, added, kept: benchmarks with their models; those kept with the day on
            which they were accepted, where it is known.
    """

    content: dict[str, Any]
    replaced: tuple[str, ...]
    added: tuple[str, ...]
    kept: tuple[str, ...]

    @property
    def sentences(self) -> str:
        """What was replaced, added and kept."""
        parts = (("Replaced", self.replaced), ("Added", self.added), ("Kept as accepted before", self.kept))
        return " ".join(f"{what}: {', '.join(names)}." for what, names in parts if names)


def merge(old: Mapping[str, Any] | None, new: Mapping[str, Any], accepted: Mapping[str, Any]) -> Merged:
    """The content of a baseline that takes in a run.

    Groups of the run replace those of the same benchmark and model, in their place; new ones come last. What is kept
    keeps its own acceptance, and the machine, version, date and commit it was measured with.

    Args:
        old: the baseline as it stands, in the format this version reads, or None. new: the run, as pytest-benchmark
            saves it. accepted: when, why and with what verdicts the run was accepted.
    """
    ours = {_key(group): {**group, "accepted": dict(accepted)} for group in new["slmsec"]["groups"]}
    before = {_key(group): _with_its_run(group, old or {}) for group in _section(old).get("groups", [])}
    groups = {**before, **ours}
    section = {**new["slmsec"], "groups": list(groups.values()), "accepted": dict(accepted)}
    for by_model in ("fidelity", "distributions"):
        found = {**_section(old).get(by_model, {}), **new["slmsec"].get(by_model, {})}
        if found:
            section[by_model] = found
    content = {**new, "benchmarks": _entries(old, new, set(ours)), "slmsec": section}
    return Merged(
        content,
        replaced=tuple(_name(key) for key in ours if key in before),
        added=tuple(_name(key) for key in ours if key not in before),
        kept=tuple(_name(key) + _day(group) for key, group in before.items() if key not in ours),
    )


def _section(content: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (content or {}).get("slmsec") or {}


def _key(group: Mapping[str, Any]) -> Key:
    return str(group["benchmark"]), str(group["model"])


def _name(key: Key) -> str:
    return " on ".join(key)


def _day(group: Mapping[str, Any]) -> str:
    day = (group.get("accepted") or {}).get("date")
    return f" ({day})" if day else ""


def _with_its_run(group: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """A group with the facts that stood once for all groups of its file."""
    section = _section(old)
    run = {
        "machine": (old.get("machine_info") or {}).get("slmsec"),
        "datetime": old.get("datetime"),
        "commit_info": old.get("commit_info"),
        "version": section.get("version"),
    }
    return {"accepted": section.get("accepted"), "run": run, **group}


def _entries(old: Mapping[str, Any] | None, new: Mapping[str, Any], replaced: set[Key]) -> list[Any]:
    """pytest-benchmark's entries of the new run, and the old ones except those of replaced groups or the same name."""
    names = {entry.get("fullname") for entry in new["benchmarks"]}
    kept = [entry for entry in (old or {}).get("benchmarks", [])
            if _entry_key(entry) not in replaced and entry.get("fullname") not in names]  # fmt: skip
    return [*kept, *new["benchmarks"]]


def _entry_key(entry: Mapping[str, Any]) -> Key | None:
    params: Any = entry.get("params")
    known = isinstance(params, Mapping) and "benchmark" in params and "model" in params
    return (str(params["benchmark"]), str(params["model"])) if known else None
