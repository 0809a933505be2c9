"""Logs of the user's own: ``journalctl -o json``, RFC 5424 lines, and a table of logs and model answers."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from io import StringIO
from json import dumps
from pathlib import Path
from typing import NoReturn

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Item
from pytest_slmsec.tasks.records import Record, read_json_lines
from pytest_slmsec.tasks.tsv import FRESH_COPY, decoded, shown

LARGEST_PRI = 191
"""Facility 23, severity 7 (RFC 5424, section 6.2.1)."""
_PRI = re.compile(r"<(\d+)>1 (\S+) (\S+) (\S+) (\S+) (\S+) (?:-|\[)")
FIELDS = ("PRIORITY", "SYSLOG_IDENTIFIER", "MESSAGE")
"""Fields of a journal entry that are shown to the model."""


def journal_items(prompt: str, name: str, path: Path) -> list[Item]:
    """An item of each entry of ``journalctl -o json``: which severity has it? Gold is its ``PRIORITY``.

    Raises:
        DataError: an entry without message or priority, a priority outside 0 to 7, or a field that the journal wrote as
            a list of bytes because it is no text.
    """
    _refuse_nul(path)
    return [_journal_item(prompt, name, record) for record in _entries(path)]


def _entries(path: Path) -> list[Record]:
    if not decoded(path).strip():
        raise DataError(f"{path} is empty; export it again with journalctl -o json.")
    try:
        return read_json_lines(path)
    except DataError as error:
        raise DataError(str(error).replace(FRESH_COPY, "export it again with journalctl -o json")) from error


def _journal_item(prompt: str, name: str, record: Record) -> Item:
    shown_fields = {key: _field(record, key) for key in FIELDS if key == "MESSAGE" or key in record.value}
    priority = shown_fields.get("PRIORITY")
    if priority is None or not re.fullmatch("[0-7]", priority):
        _bad(record, f"PRIORITY is {priority!r} and must be a digit from 0 to 7", "leave the entry out")
    return _rated(prompt, name, record.number, dumps(shown_fields, ensure_ascii=False), priority, record.origin,
                  shown_fields.get("SYSLOG_IDENTIFIER"))  # fmt: skip


def _field(record: Record, key: str) -> str:
    """A field as text. A priority may be a number, as other exporters than journalctl write it."""
    value = record.value.get(key)
    if isinstance(value, list):
        what = "of bytes, as journald writes what is no text"
        if not all(isinstance(one, int) for one in value):
            what = "of values, as journald writes a field that an entry has more than once"
        _bad(record, f"{key} is a list {what}", "leave the entry out")
    if key == "PRIORITY" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        _bad(record, f"{key} is missing or no text", "export it again with journalctl -o json")
    if "\0" in value or (key == "MESSAGE" and not value.strip()):
        _bad(record, f"{key} {'holds a NUL byte' if value.strip() else 'is empty'}", "leave the entry out")
    return value


def _bad(record: Record, why: str, remedy: str) -> NoReturn:
    raise DataError(f"{record.source}, record {record.number}: {why}; {remedy}.")


def rfc5424_items(prompt: str, name: str, path: Path) -> list[Item]:
    """An item of each line in the form of RFC 5424: which severity has it? Gold is PRI modulo 8.

    Raises:
        DataError: an empty file, NUL bytes, a line of another form, or a PRI above 191.
    """
    _refuse_nul(path)
    found = enumerate(decoded(path).split("\n"), 1)  # other marks of a line's end belong to the message
    lines = [(number, line.removesuffix("\r")) for number, line in found if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty; export the log again.")
    return [_line_item(prompt, name, path, number, line) for number, line in lines]


def _line_item(prompt: str, name: str, path: Path, number: int, line: str) -> Item:
    match = _PRI.match(line)
    if match is None:
        raise DataError(f"{path}, line {number}: {shown(line)} is no line of RFC 5424 (<PRI>1 TIME HOST APP PID ID -); "
                        "have the log daemon write that form.")  # fmt: skip
    pri = int(match[1])
    if pri > LARGEST_PRI:
        raise DataError(
            f"{path}, line {number}: PRI is {pri} and at most {LARGEST_PRI} is allowed; leave the line out."
        )
    return _rated(prompt, name, number, line, str(pri % 8), f"{path.name} line {number}", match[4])


def _rated(prompt: str, name: str, number: int, log: str, gold: str, origin: str, program: str | None) -> Item:
    meta: Mapping[str, str] = {} if program is None else {"program": program}
    return Item(f"{name}-{number:05d}", prompt.format(log=log), gold, origin=origin, meta=meta)


def table_items(prompt: str, name: str, path: Path) -> list[Item]:
    """An item of each row of a comma-separated table of two columns, logs and model answers, under a header.

    Raises:
        DataError: an empty file, NUL bytes, other than two columns, or an empty cell.
    """
    _refuse_nul(path)
    try:
        rows = [row for row in csv.reader(StringIO(decoded(path), newline=""), strict=True) if row]
    except csv.Error as error:
        raise DataError(f"{path}: not comma-separated text ({error}); save it again as CSV.") from error
    for number, row in enumerate(rows):
        if len(row) != 2:
            raise DataError(f"{path}, row {number}: it has {len(row)} columns and needs two, the log and its answer; "
                            "quote cells that hold commas.")  # fmt: skip
        if not all(cell.strip() for cell in row):
            raise DataError(f"{path}, row {number}: a cell is empty; fill it or leave the row out.")
    return [Item(f"{name}-{number:05d}", prompt.format(log=log), answer, origin=f"{path.name} row {number}")
            for number, (log, answer) in enumerate(rows[1:], 1)]  # fmt: skip


def _refuse_nul(path: Path) -> None:
    text = decoded(path)
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(
            f"{path}, line {line}: it holds a NUL byte, so the file is damaged or no text; export it again."
        )
