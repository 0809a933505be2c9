"""The texts of training data, one after the other: CSV, JSON lines, JSON, XLSX, and plain text.

Of tables and objects those fields are read that training data commonly has: questions and answers as ``--slmsec-qa``
takes them, prompts and completions, instructions (Alpaca), and conversations (``messages``; ``conversations`` of
ShareGPT). Rows whose column ``split`` says ``test`` are no training data. Files are read row by row; XLSX and JSON,
whose readers need them whole, are not.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from pytest_slmsec.core.errors import DataError, DataUnavailable, MissingExtraError
from pytest_slmsec.tasks.qa_file import ANSWER, EXTRA, QUESTION, SPLIT, TEST
from pytest_slmsec.tasks.tsv import shown

CHAT = ("messages", "conversations")
FIELDS = (QUESTION, ANSWER, "prompt", "completion", "response", "instruction", "input", "output", "text", "content",
          *CHAT)  # fmt: skip
MOST_LINES = 1000
REMEDY = f"call one of them {QUESTION!r}, 'prompt', 'text' or 'messages', or give the data as plain text"

Rows = Iterator[tuple[str, Mapping[str, Any]]]
"""Where a row stands, for messages, and its fields."""
Read = TypeVar("Read")


def training_texts(path: Path, names: Mapping[str, str] | None = None) -> Iterator[str]:
    """The texts of a file of training data, in its order.

    Args:
        names: the column of the file for ``question``, ``answer`` and ``split``, where it is called otherwise.

    Raises:
        DataUnavailable: it cannot be read. DataError: it holds no text, no field that is read here, or is damaged;
            names file, row and remedy. MissingExtraError: XLSX without openpyxl.
    """
    read, count = _READERS.get(path.suffix.lower()), 0
    for text in _readable(path, lambda: _plain(path) if read is None else _of_rows(read(path), path, names or {})):
        count += 1
        yield text
    if not count:
        raise DataError(f"{path} holds no training text; name a file with texts in it.")


def training_rows(path: Path) -> Rows:
    """The rows of a file of training data in its order, without those whose column ``split`` says ``test``.

    Raises:
        DataUnavailable: it cannot be read. DataError: it is damaged, or plain text. MissingExtraError: XLSX without
            openpyxl.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f"{path}: rows are read of {', '.join(_READERS)}; save it as one of them.")
    for place, row in _readable(path, lambda: read(path)):
        if not _is_test(row, SPLIT):
            yield place, row


def _readable(path: Path, found: Callable[[], Iterator[Read]]) -> Iterator[Read]:
    """What a reader gives, with errors of the file as one sentence."""
    try:
        yield from found()
    except OSError as error:
        raise DataUnavailable(f"{path} cannot be read ({error.strerror}); make it readable.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}, line {_not_utf8(path)}: not UTF-8 ({error.reason}); save it as UTF-8.") from error


def _is_test(row: Mapping[str, Any], split: str) -> bool:
    return str(row.get(split) or "").strip().casefold() == TEST


def _not_utf8(path: Path) -> int:
    """The number of the first line that is not UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0


def _of_rows(rows: Rows, path: Path, names: Mapping[str, str]) -> Iterator[str]:
    split = names.get(SPLIT, SPLIT)
    fields = [names.get(field, field) for field in FIELDS]
    for place, row in rows:
        if _is_test(row, split):
            continue
        known = [field for field in fields if field in row]
        if not known:
            keys = ", ".join(map(shown, list(row)[:10])) or "none"
            raise DataError(f"{path}, {place}: there is no column that is read as training text (it has: {keys}); "
                            f"{REMEDY}.")  # fmt: skip
        for field in known:
            yield from _texts(row[field], f"{path}, {place}, column {field!r}")


def _texts(value: Any, place: str) -> Iterator[str]:
    """The texts of a field: itself, or those of the turns of a conversation and of the parts of a turn."""
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, Mapping):
        for key in ("content", "value", "text"):
            yield from _texts(value.get(key), place)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one, place)
    elif value is not None:
        yield str(value)


def _csv_rows(path: Path, delimiter: str = ",") -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True, delimiter=delimiter)
        try:
            yield from _table((row for row in reader if row), path)
        except csv.Error as error:
            raise DataError(f"{path}, line {reader.line_num}: not a table of separated values ({error}); save it as "
                            "CSV or JSON lines.") from error  # fmt: skip


def _table(rows: Iterable[Sequence[Any]], path: Path) -> Rows:
    """Rows below a header; cells beyond it are refused, missing ones are empty."""
    header: list[str] | None = None
    for number, row in enumerate(rows):
        if header is None:
            header = [str(cell or "").strip() for cell in row]
            continue
        if len(row) > len(header):
            raise DataError(f"{path}, row {number}: {len(row)} cells in place of {len(header)}; quote cells that hold "
                            "the separator.")  # fmt: skip
        yield f"row {number}", dict(zip(header, row, strict=False))


def _tsv_rows(path: Path) -> Rows:
    return _csv_rows(path, "\t")


def _json_lines(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: not JSON ({error}); write one object a line.") from error
            if not isinstance(value, Mapping):
                raise DataError(f"{path}, line {number}: {shown(line)} is no object; write one object a line.")
            yield f"line {number}", value


def _json_list(path: Path) -> Rows:
    text, remedy = path.read_text("utf-8-sig"), "write a list of objects, or one object a line (.jsonl)"
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error}); {remedy}.") from error
    if not isinstance(content, list) or not all(isinstance(one, Mapping) for one in content):
        raise DataError(f"{path}: this is no list of objects; {remedy}.")
    return ((f"record {number}", one) for number, one in enumerate(content, 1))


def _xlsx_rows(path: Path) -> Rows:
    try:
        openpyxl = import_module("openpyxl")
    except ImportError as error:
        raise MissingExtraError("Reading XLSX", "openpyxl", EXTRA) from error
    try:
        sheet = openpyxl.load_workbook(path, read_only=True).worksheets[0]
        rows = [row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row)]
    except Exception as error:  # the package raises many kinds on damaged files
        raise DataError(f"{path}: not a workbook ({type(error).__name__}: {error}); save it as XLSX or CSV.") from error
    return _table(rows, path)


def _plain(path: Path) -> Iterator[str]:
    """Paragraphs of a text, and their lines by themselves where there are several. A paragraph of very many lines comes
    in parts that share a line."""
    lines: list[str] = []
    with path.open(encoding="utf-8-sig") as file:
        for line in file:
            lines += [line] if line.strip() else []
            if not line.strip() or len(lines) > MOST_LINES:
                yield from _paragraph(lines)
                lines = lines[-1:] if line.strip() else []
    yield from _paragraph(lines)


def _paragraph(lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield "".join(lines)
    if len(lines) > 1:
        yield from lines


_READERS = {".csv": _csv_rows, ".tsv": _tsv_rows, ".jsonl": _json_lines, ".json": _json_list, ".xlsx": _xlsx_rows}
