"""Stored runs as a report with verdicts, for the verbs that show them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from pytest_slmsec.cli.compare import judged_runs, rescorer_of
from pytest_slmsec.cli.recorded_runs import read_recorded
from pytest_slmsec.config.files import read_gate
from pytest_slmsec.core.errors import CompareError, UsageError
from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.saved_runs import read_json, stored_path
from pytest_slmsec.gates.records.stored_models import of_model, pairs_among
from pytest_slmsec.replay import benchmark_json
from pytest_slmsec.replay.registry import CHOOSE
from pytest_slmsec.reports.page.document import DEFAULT_SIZE
from pytest_slmsec.reports.page.records import Record, Report, in_time, record_from_json

SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmM]?)(?:i?[bB])?")
FACTORS = {"": 1, "k": 1 << 10, "m": 1 << 20}


def read_report(names: Sequence[str], root: Path, data: str | None, preset: str | None) -> Report:
    """Stored runs with a verdict on each model whose base is among them.

    Raises:
        CompareError, ReplayError, DataError: a run cannot be used. UsageError: the configuration cannot.
    """
    return judged(read_records(names, root, data), root, data, preset)


def read_records(names: Sequence[str], root: Path, data: str | None) -> tuple[Record, ...]:
    """The records that names stand for, oldest first; see `read_report`.

    Raises:
        UsageError: no run is named.
    """
    if not names:
        raise UsageError("No run is named: name a file of --benchmark-json, or the number (0001) of a stored run.")
    return in_time(_record(name, root, data) for name in names)


def judged(records: tuple[Record, ...], root: Path, data: str | None, preset: str | None) -> Report:
    """A report with a verdict on each model whose base is among the records; see `read_report`."""
    unjudged = Report(records, ())
    day = max(map(_day, records), default=date.min)
    rescore, config = rescorer_of(unjudged.runs, data), read_gate(root, preset)
    judgements, remarks = list[Judgement](), list[str]()
    for base, candidate in pairs_among(unjudged.runs):
        bases, candidates = of_model(unjudged.runs, base), of_model(unjudged.runs, candidate)
        try:
            judgements.append(judged_runs(bases, candidates, config, rescore, day))
        except CompareError as error:
            remarks.append(f"{candidate} could not be judged against {base}: {error}")
    return Report(records, tuple(judgements), tuple(remarks))


def _day(record: Record) -> date:
    """The day of a run, so that its page does not change with the day on which it is made; unknown: the first."""
    try:
        return date.fromisoformat(record.date[:10])
    except ValueError:
        return date.min


def _record(text: str, root: Path, data: str | None) -> Record:
    """The record that a name stands for; of one that names a model only that model."""
    name, _, model = text.rpartition(CHOOSE) if CHOOSE in text else (text, "", "")
    path = root / Path(name).expanduser()
    if path.exists() and not benchmark_json.reads(path):
        return Record(name, tuple(read_recorded(path, data, model or None)))
    stored = stored_path(name, root)
    where = stored.relative_to(root) if stored.is_relative_to(root) else stored
    record = record_from_json(read_json(stored), str(where))
    if not model:
        return record
    chosen = tuple(run for run in record.runs if run.model == model)
    if not chosen:
        known = ", ".join(dict.fromkeys(run.model for run in record.runs))
        raise CompareError(f"{name} holds no model {model!r}; it holds {known}.")
    return record.of(chosen)


def read_size(text: str | None) -> int:
    """Bytes from a text such as ``500k`` or ``2M``.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return DEFAULT_SIZE
    found = SIZE.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--size {text}: write bytes, such as 500k or 2M.")
    return round(float(found[1]) * FACTORS[found[2].lower()])


def write(path: Path, text: str) -> None:
    """Write a file and its folder.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}; name another file.") from error
