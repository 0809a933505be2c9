"""Runs out of files that pytest-benchmark wrote (``--benchmark-json``, ``--benchmark-autosave``), by path or number."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun, run_from_plain
from pytest_slmsec.gates.records.fact_kinds import AGAIN, check_table

FORMAT = 1
STORAGE = ".benchmarks"
NUMBER = re.compile(r"\d{4}")


def stored_path(name: str, root: Path) -> Path:
    """The file that `name` stands for: a path, or the four digits of a run in pytest-benchmark's storage.

    Args:
        root: folder in which the storage ``.benchmarks`` lies, and relative paths start.

    Raises:
        CompareError: there is none, or there are several with that number.
    """
    path = root / Path(name).expanduser()
    if path.is_file():
        return path
    if not NUMBER.fullmatch(name):
        raise CompareError(f"There is no file {name}; name a file written by --benchmark-json, or the number (0001) of "
                           f"a run in {STORAGE}.")  # fmt: skip
    found = sorted((root / STORAGE).glob(f"**/{name}_*.json"))
    if len(found) == 1:
        return found[0]
    if not found:
        raise CompareError(f"{root / STORAGE} holds no run {name}; `pytest-benchmark list` shows what is there.")
    raise CompareError(f"{root / STORAGE} holds {len(found)} runs numbered {name}: name one of the files, for example "
                       f"{found[0]}.")  # fmt: skip


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        CompareError: it cannot be read or is no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise CompareError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ValueError as error:
        raise CompareError(f"{path} is no valid JSON, or cut off ({error}); {AGAIN}.") from error
    except RecursionError as error:
        raise CompareError(f"{path} is no stored run: its JSON is nested without end.") from error


def read_runs(path: Path) -> list[BenchmarkRun]:
    """All runs of one file, in its order.

    Raises:
        CompareError: no file of ours, another format, damaged; see `run_from_plain`.
    """
    return runs_from_json(read_json(path), str(path))


def runs_from_json(content: Any, where: str) -> list[BenchmarkRun]:
    """All runs of the content of one file; see `read_runs`."""
    if not isinstance(content, Mapping) or not isinstance(content.get("benchmarks"), Sequence):
        raise CompareError(f"{where} is no file of pytest-benchmark: it has no list 'benchmarks'.")
    section = content.get("slmsec")
    if not isinstance(section, Mapping):
        raise CompareError(f"{where} holds no answers of models (no key 'slmsec'): it was written by an older format "
                           f"or by a run without --model; {AGAIN}.")  # fmt: skip
    if section.get("format") != FORMAT:
        raise CompareError(f"{where} has the record format {section.get('format')!r}, this version reads {FORMAT}; "
                           f"{AGAIN}.")  # fmt: skip
    groups, stopped = section.get("groups"), section.get("stopped") or []
    if not isinstance(groups, Sequence) or not isinstance(stopped, Sequence) or not (groups or stopped):
        raise CompareError(f"{where} holds no complete benchmark: there is nothing to compare.")
    _check_tables(content, section, where)
    facts = _facts(content["benchmarks"])
    machine = (content.get("machine_info") or {}).get("slmsec")
    return [
        run_from_plain(_facts_of(group, facts, where), group, _machine_of(group, machine), where) for group in groups
    ] + [run_from_plain(group.get("facts") or {}, group, machine, where) for group in stopped]


def _check_tables(content: Mapping[str, Any], section: Mapping[str, Any], where: str) -> None:
    """Refuse a file whose tables are none."""
    machine = content.get("machine_info")
    for what in ("machine_info", "commit_info"):
        check_table(content.get(what), what, where)
    check_table((machine or {}).get("slmsec"), "machine_info.slmsec", where)
    for what in ("fidelity", "distributions"):
        check_table(section.get(what), f"slmsec.{what}", where)
    found = section.get("sentinels") or []
    if not isinstance(found, Sequence):
        raise CompareError(f"{where} is damaged: slmsec.sentinels is not a list; {AGAIN}.")
    for finding in found:
        check_table(finding or "", "an entry of slmsec.sentinels", where)
    for entry in content["benchmarks"]:
        check_table(entry or "", "an entry of 'benchmarks'", where)
        for key in ("params", "stats", "extra_info"):
            check_table(entry.get(key), f"{key} of an entry of 'benchmarks'", where)


@dataclass(frozen=True, slots=True)
class StoredDistances:
    """What a stored run knows of distances, as plain data.

    Attributes:
        records: by candidate; see `fidelity.Distance.record`. tops: distributions by model; see `gates.tops`.
        where: file, for messages.
    """

    records: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tops: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    where: str = "The baseline"


def stored_distances(path: Path) -> StoredDistances:
    """The distances in a stored run.

    Raises:
        CompareError: the file cannot be read.
    """
    section = read_json(path).get("slmsec") or {}
    records, tops = section.get("fidelity") or {}, section.get("distributions") or {}
    return StoredDistances({name: r for name, r in records.items() if _is_positive(r.get("kl"))}, tops, str(path))


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


def _machine_of(group: Mapping[str, Any], of_the_file: Any) -> Any:
    """The machine of a group that an update of the baseline kept is its own."""
    run = group.get("run")
    return run.get("machine") if isinstance(run, Mapping) else of_the_file


def _facts(entries: Sequence[Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """`extra_info` of the entry with all facts (latency, or error_rate where no times are known), by group."""
    found = {}
    for entry in entries:
        params = entry.get("params") if isinstance(entry, Mapping) else None
        if not isinstance(params, Mapping) or params.get("metric") not in ("latency", "error_rate"):
            continue
        extra = entry.get("extra_info") or {}
        if params["metric"] == "latency" or "decoding" in extra:
            found[str(params.get("benchmark")), str(params.get("model"))] = extra
    return found


def _facts_of(group: Any, facts: Mapping[tuple[str, str], Mapping[str, Any]], where: str) -> Mapping[str, Any]:
    if not isinstance(group, Mapping):
        raise CompareError(f"{where} is damaged: a group of 'slmsec' is no table; {AGAIN}.")
    key = str(group.get("benchmark")), str(group.get("model"))
    if key not in facts:
        raise CompareError(f"{where} is damaged: {key[0]} on {key[1]} has answers but no latency entry; {AGAIN}.")
    return facts[key]
