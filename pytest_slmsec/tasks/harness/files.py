"""Documents of a task in local files: one folder a task, one file (or several parts) a split.

``arc_challenge/test.jsonl``, ``.json`` (a list) or ``.parquet``; parts as on the hub, ``test-00000-of-00002.parquet``.
The files may also stand in a folder ``data``, or one named like the data set's configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.tasks.harness.definition import Definition
from pytest_slmsec.tasks.records import Record, read_json_lines, read_json_list, read_parquet, readable_parquet

ENDINGS = ("jsonl", "json", "parquet")
NAMES = {str: "text", int: "whole number", list: "list", dict: "object with fields"}


def split_files(definition: Definition, root: Path, split: str) -> list[Path]:
    """The files of one split, its parts in order.

    Raises:
        DataUnavailable: there are none; says where they are looked for.
    """
    folder = root / definition.name
    places = [folder, *([folder / definition.config] if definition.config else []), folder / "data"]
    for place in places:
        for ending in ENDINGS:
            whole = place / f"{split}.{ending}"
            found = [whole] if whole.is_file() else sorted(place.glob(f"{split}-*-of-*.{ending}"))
            if found:
                return found
    raise DataUnavailable(
        f"{definition.name}: there is no {folder / split}.jsonl (nor .json or .parquet); put the rows of this split "
        "there, or name the folder that holds it with --slmsec-data=DIR or the variable SLMSEC_DATA."
    )


def count_rows(definition: Definition, root: Path) -> int:
    """How many documents are asked, without reading what only `lm_eval` understands.

    Raises:
        DataUnavailable, DataError: see `read_split`.
    """
    files = split_files(definition, root, definition.split)
    if files[0].suffix == ".parquet":
        return sum(_parquet_rows(path) for path in files)
    return len(read_split(definition, root, definition.split))


def read_split(definition: Definition, root: Path, split: str) -> list[Record]:
    """The documents of one split.

    Raises:
        DataUnavailable: there is no file. DataError: file, record and field of what is damaged.
    """
    rows: list[Record] = []
    for path in split_files(definition, root, split):
        rows += _read(path, path.stat().st_mtime_ns)
    return checked(definition, rows)


def checked(definition: Definition, rows: Sequence[Record]) -> list[Record]:
    """The rows, each with the columns that the task needs and all with those of the first.

    Raises:
        DataError: file, record and field.
    """
    for row in rows:
        for name, kind in definition.fields.items():
            value = row.at(name)
            if not isinstance(value, kind) or isinstance(value, bool):
                kinds = kind if isinstance(kind, tuple) else (kind,)
                row.bad(f"{str(value)[:60]!r} is no {' or '.join(NAMES[one] for one in kinds)}", name)
        for name in rows[0].value:
            row.at(name)
    return list(rows)


@lru_cache(maxsize=8)
def _read(path: Path, changed_ns: int) -> list[Record]:
    del changed_ns  # a file that was written again is read again
    if path.suffix == ".jsonl":
        return read_json_lines(path)
    return read_json_list(path) if path.suffix == ".json" else read_parquet(path)


def _parquet_rows(path: Path) -> int:
    from pyarrow import parquet

    with readable_parquet(path):
        return int(parquet.read_metadata(path).num_rows)
