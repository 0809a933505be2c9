"""One strict reader for published tab-separated files, and errors that name file, row, column and remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.wrap import shortened

FRESH_COPY = "fetch the published file again"


def find_file(root: Path, published: str, task: str) -> Path:
    """The file `published` (a path as in the published repository) below `root`, or the same name in a flat folder.

    Raises:
        DataUnavailable: it is in none of these places.
    """
    parts = Path(published).parts
    places = [root.joinpath(*parts[skip:]) for skip in range(len(parts))]
    for place in places:
        if place.is_file():
            return place
    raise DataUnavailable(
        f"{task}: there is no {places[0]} and no {places[-1]}; put the published file there, or name the folder that "
        "holds it with --slmsec-data=DIR or the variable SLMSEC_DATA."
    )


def read_tsv(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """All rows of a UTF-8 file with a header, cell by cell as they stand.

    Lines end with ``\\n`` or ``\\r\\n`` and nothing else, so that control characters and U+2028 stay in their cells.
    Blank lines at the end are passed over, and rows of empty cells there, which spreadsheets write. A quote is a
    character like any other, except in a cell that is quoted as a whole with inner quotes doubled, as spreadsheet and
    data-frame exports write them. (The published files are written without quoting: a reader that honours a quote at
    the start of a cell drops two of them in one description of RCM-2021.)

    Args:
        columns: names that must be in the header; others are kept as well.

    Raises:
        DataError: damaged or not in the published format.
    """
    lines = decoded(path, lambda line: f"row {line - 1}" if line > 1 else "the header").split("\n")
    blank = " \t\r" if "\t" in lines[0] else "\r"  # in a table of one column a blank is a cell
    while lines and not lines[-1].strip(blank):
        lines.pop()
    if not lines:
        raise DataError(f"{path} is empty; {FRESH_COPY}.")
    header = _cells(lines[0])
    for column in columns:
        if header.count(column) != 1:
            trouble = "has no column" if column not in header else "has more than one column"
            raise DataError(f"{path} {trouble} {column!r} (it has: {', '.join(header)}); {FRESH_COPY}.")
    rows = [dict(zip(header, cells, strict=True)) for cells in _body(path, lines, len(header))]
    if not rows:
        raise DataError(f"{path} has a header but no rows; {FRESH_COPY}.")
    return rows


def bad_cell(file: Path | str, row: int, column: str, why: str, remedy: str = FRESH_COPY) -> NoReturn:
    """Raise the `DataError` for one cell; `row` counts from 1, the header apart."""
    raise DataError(f"{file}, row {row}, column {column!r}: {why}; {remedy}.")


def shown(cell: str) -> str:
    """A cell for a message: escaped and no longer than 60 characters."""
    return repr(shortened(cell, 60))


def decoded(path: Path, place: Callable[[int], str] = "line {}".format) -> str:
    """The text of a published file in UTF-8, with or without a byte-order mark.

    Args:
        place: what a line is called in messages, by its number from 1.

    Raises:
        DataUnavailable: it cannot be read. DataError: it is not UTF-8.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataUnavailable(f"{path} cannot be read ({error.strerror}); make it readable.") from error
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = len(data) - len(error.object) + error.start
        where = place(data.count(b"\n", 0, at) + 1)
        raise DataError(
            f"{path}, {where}, byte {at}: not UTF-8 ({error.reason}); {FRESH_COPY}, or save it as UTF-8."
        ) from error


def _body(path: Path, lines: Sequence[str], width: int) -> Iterator[list[str]]:
    for row, line in enumerate(lines[1:], 1):
        cells = _cells(line)
        if len(cells) != width:
            trouble = "few cells (cut off?)" if len(cells) < width else "many cells (a tab inside a text?)"
            raise DataError(f"{path}, row {row} has too {trouble}: {len(cells)} of {width} columns; {FRESH_COPY}.")
        yield cells


def _cells(line: str) -> list[str]:
    cells = line.removesuffix("\r").split("\t")
    return [_unquoted(cell) for cell in cells] if '"' in line else cells


def _unquoted(cell: str) -> str:
    if len(cell) < 2 or cell[0] != '"' or cell[-1] != '"':
        return cell
    inner = cell[1:-1]
    return cell if '"' in inner.replace('""', "") else inner.replace('""', '"')
