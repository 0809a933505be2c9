"""Published files of JSON objects and of comma-separated rows, and errors that name file, record, field and remedy.

A reader gives `Record`s: one object or row and where it stands. What a task takes out of it, it takes through the
record, so that a missing, empty or mistyped field ends in one sentence.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.tasks.tsv import FRESH_COPY, decoded, shown

Key = str | int


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a file, or one row of a hub data set.

    Attributes:
        source: the file, or what stands for it in messages.
        number: from 1, a header apart.
        value: its fields.
    """

    source: Path | str
    number: int
    value: Mapping[str, Any]

    @property
    def origin(self) -> str:
        """Where it stands, without the folder."""
        return f"{Path(self.source).name} record {self.number}"

    def bad(self, why: str, *path: Key, remedy: str = FRESH_COPY) -> NoReturn:
        """Raise the `DataError` for the field at `path`: keys from the outside in; list places count from 0."""
        place = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")
        raise DataError(f"{self.source}, record {self.number}, field {place!r}: {why}; {remedy}.")

    def at(self, *path: Key) -> Any:
        """The value at `path`.

        Raises:
            DataError: there is none.
        """
        value: Any = self.value
        for depth, key in enumerate(path, 1):
            inside = isinstance(value, Mapping) if isinstance(key, str) else isinstance(value, Sequence)
            try:
                value = value[key] if inside else self.bad(f"{shown(str(value))} holds no fields", *path[:depth])
            except (KeyError, IndexError):
                self.bad("the field is missing", *path[:depth])
        return value

    def text(self, *path: Key, empty: bool = False) -> str:
        """The text at `path`; `empty`: it may be blank or null."""
        value = self.at(*path)
        if value is None and empty:
            return ""
        if not isinstance(value, str):
            self.bad(f"{shown(str(value))} is no text", *path)
        if not empty and not value.strip():
            self.bad("the text is empty", *path)
        return value

    def texts(self, *path: Key, least: int = 1) -> list[str]:
        """The list of texts at `path`, at least `least` of them."""
        values = self.at(*path)
        if not isinstance(values, (list, tuple)):
            self.bad(f"{shown(str(values))} is no list of texts", *path)
        if len(values) < least:
            self.bad(f"the list has {len(values)} entries and needs at least {least}", *path)
        return [self.text(*path, place, empty=True) for place in range(len(values))]


def records(source: Path | str, rows: Iterable[object]) -> list[Record]:
    """A record of each row of `source`.

    Raises:
        DataError: there are none, or one is no object.
    """
    found = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise DataError(f"{source}, record {number}: {shown(str(row))} is no object with fields; {FRESH_COPY}.")
        found.append(Record(source, number, row))
    if not found:
        raise DataError(f"{source} holds no records; {FRESH_COPY}.")
    return found


def read_json(path: Path) -> Any:
    """The content of a JSON file in UTF-8.

    Raises:
        DataUnavailable: it cannot be read. DataError: it is something else, or cut off.
    """
    return _parsed(decoded(path), f"{path}")


def read_json_list(path: Path, key: str | None = None) -> list[Record]:
    """A record of each entry of a JSON file that holds a list, or an object with a list under `key`.

    Raises:
        DataUnavailable, DataError: as `read_json`; also for another shape.
    """
    content = read_json(path)
    if key is not None:
        content = content.get(key) if isinstance(content, Mapping) else None
    if not isinstance(content, list):
        what = "a list" if key is None else f"an object with a list under {key!r}"
        raise DataError(f"{path}: must hold {what}; {FRESH_COPY}.")
    return records(path, content)


def read_json_lines(path: Path) -> list[Record]:
    """A record of each line of a file of JSON lines; blank lines are passed over.

    Raises:
        DataUnavailable, DataError: as `read_json`; the message names the line.
    """
    lines = [(number, line) for number, line in enumerate(decoded(path).split("\n"), 1) if line.strip()]
    rows = [_parsed(line, f"{path}, line {number}") for number, line in lines]
    return records(path, rows)


def read_parquet(path: Path) -> list[Record]:
    """A record of each row of a Parquet file.

    Raises:
        DataError: it is none, or cut off.
    """
    from pyarrow import parquet

    with readable_parquet(path):
        rows = parquet.read_table(path).to_pylist()
    return records(path, rows)


@contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises about a file into one sentence."""
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException) as error:
        why = " ".join(str(error).split())[:200]
        raise DataError(f"{path}: not a Parquet file ({why}); {FRESH_COPY}.") from error


def read_csv(path: Path, columns: Sequence[str], header: bool = True) -> list[Record]:
    """A record of each row of a comma-separated file, quoted as RFC 4180 says; cells may hold line breaks.

    Args:
        columns: the names of the columns. header: the first row names them; otherwise they stand in this order.

    Raises:
        DataUnavailable: it cannot be read. DataError: a column is missing, or a row has other columns.
    """
    reader = csv.reader(StringIO(decoded(path), newline=""), strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not comma-separated text ({error}); {FRESH_COPY}.") from error
    names = list(columns)
    if header:
        if not rows:
            raise DataError(f"{path} is empty; {FRESH_COPY}.")
        names = rows.pop(0)
        for column in columns:
            if names.count(column) != 1:
                raise DataError(f"{path} has no single column {column!r} (it has: {', '.join(names)}); {FRESH_COPY}.")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            raise DataError(f"{path}, record {number} has {len(row)} of {len(names)} columns; {FRESH_COPY}.")
    return records(path, [dict(zip(names, row, strict=True)) for row in rows])


def _parsed(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise DataError(f"{where}: not JSON ({error}; cut off?); {FRESH_COPY}.") from error
    except RecursionError:
        raise DataError(f"{where}: nested too deeply to be the published file; {FRESH_COPY}.") from None
