"""Questions and answers of your own from one file: ``--slmsec-qa=FILE`` (CSV, JSON lines, XLSX).

Columns: ``question`` and ``answer``; if wanted ``facts`` (parted by ``;``, alternatives of one by ``|``), ``category``,
and ``split``, of which the rows ``test`` are asked and all others are training data. ``--slmsec-qa-columns`` says which
columns of the file stand for them.
"""

from __future__ import annotations

import csv
import json
import unicodedata
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from io import StringIO
from math import fsum
from pathlib import Path
from typing import Any, NoReturn

from pytest_slmsec.core.errors import DataError, MissingExtraError
from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import TOKEN_F1
from pytest_slmsec.scoring.short_answer import FACTS, score_short_answer, whole_texts
from pytest_slmsec.scoring.squad_text import normalised, word_f1
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer
from pytest_slmsec.tasks.tsv import decoded, find_file, shown

NAME = "qa"
FILE = "qa/questions.csv"
EXTRA = "qa"
QUESTION, ANSWER, CATEGORY, SPLIT, TEST = "question", "answer", "category", "split", "test"
NEEDED, OPTIONAL = (QUESTION, ANSWER), (FACTS, CATEGORY, SPLIT)
SHEET_ERRORS = ("#N/A", "#REF!", "#DIV/0!", "#VALUE!", "#NAME?", "#NULL!", "#NUM!")
SYSTEM = "You are a security expert. Answer the question in as few words as possible."

Row = Mapping[str, Any]


class _Place:
    """A row of the file, for messages."""

    def __init__(self, path: Path, number: int, names: Mapping[str, str]) -> None:
        self._path, self.number, self._names = path, number, names

    def bad(self, column: str, why: str, remedy: str) -> NoReturn:
        raise DataError(
            f"{self._path}, row {self.number}, column {self._names.get(column, column)!r}: {why}; {remedy}."
        )


def read_questions(path: Path, names: Mapping[str, str] | None = None, task: str = NAME) -> list[Item]:
    """The questions of a file that are to be asked.

    Args:
        names: the column of the file for each of ours that is called otherwise there.

    Raises:
        DataError: a column is missing or double, a cell is empty or a formula, one question has two answers, or a
            question is training data as well; names file, row, column and remedy.
        MissingExtraError: XLSX without openpyxl.
    """
    columns = {name: (names or {}).get(name, name) for name in (*NEEDED, *OPTIONAL)}
    rows = _READERS.get(path.suffix.lower(), _csv_rows)(path, columns)
    found: list[Item] = []
    answers: dict[str, tuple[int, str]] = {}
    training: dict[str, int] = {}
    for number, row in rows:
        place = _Place(path, number, columns)
        question, answer = (_cell(row, name, place) for name in NEEDED)
        key = _key(question)
        first, known = answers.setdefault(key, (number, answer))
        if normalised(known) != normalised(answer):
            place.bad(QUESTION, f"the question of row {first} has another answer here", "keep one of the two")
        if _optional(row, SPLIT, place).casefold() not in ("", TEST):
            training[key] = number
            continue
        if first != number and key not in training:
            place.bad(QUESTION, f"it stands in row {first} already", "keep one of the two")
        found.append(_item(f"{task}-{number:05d}", question, answer, row, place))
    _refuse_training(path, found, training)
    return found


def _key(question: str) -> str:
    """What two questions that are the same have in common: words without articles and punctuation, full-width signs
    included; of a question without words itself."""
    return normalised(unicodedata.normalize("NFKC", question)) or question


def _refuse_training(path: Path, items: Sequence[Item], training: Mapping[str, int]) -> None:
    if not items:
        raise DataError(f"{path} holds no question to ask; give rows whose column {SPLIT!r} says {TEST!r}, or no such "
                        "column.")  # fmt: skip
    for item in items:
        number = training.get(_key(item.prompt))
        if number is not None:
            raise DataError(f"{path}, {item.origin}: the question is training data as well (row {number}); take it out "
                            "of one of the two.")  # fmt: skip


def _item(name: str, question: str, answer: str, row: Row, place: _Place) -> Item:
    meta = {key: text for key in (CATEGORY,) if (text := _optional(row, key, place))}
    facts = _facts(row, place)
    if facts:
        meta[FACTS] = json.dumps(facts, ensure_ascii=False)
    return Item(name, question, answer, system=SYSTEM, origin=f"row {place.number}", meta=meta)


def _facts(row: Row, place: _Place) -> list[list[str]]:
    """The facts of a row, each a list of alternatives: parted by marks, or in JSON a list of texts or of such lists."""
    value = row.get(FACTS)
    if not isinstance(value, list):
        texts = [fact.split("|") for fact in _optional(row, FACTS, place).split(";")]
    else:
        texts = [fact if isinstance(fact, list) else [fact] for fact in value]
        if not all(isinstance(one, str) for fact in texts for one in fact):
            place.bad(FACTS, f"{shown(str(value))} is no list of texts", "write each fact as a text or a list of texts")
    found = [[one.strip() for one in fact if one.strip()] for fact in texts]
    return [fact for fact in found if fact]


def _cell(row: Row, name: str, place: _Place) -> str:
    text = _optional(row, name, place)
    return text if text else place.bad(name, "the cell is empty", "fill it in, or take the row out")


def _optional(row: Row, name: str, place: _Place) -> str:
    """The text of a cell without blanks around it; empty where there is none."""
    value = row.get(name)
    if isinstance(value, (list, dict, bool)):
        place.bad(name, f"{shown(str(value))} is no text", "write a text")
    text = "" if value is None else str(getattr(value, "text", value)).strip()  # `text`: a formula of an array
    if text.startswith("=") or text in SHEET_ERRORS:
        what = "a formula" if text.startswith("=") else "an error of the spreadsheet"
        place.bad(name, f"{shown(text)} is {what}", "save the values instead")
    if "\0" in text:
        place.bad(name, "the cell holds a NUL byte, so it is no text", "write a text")
    return text


def _renamed(where: str, header: Sequence[str], columns: Mapping[str, str]) -> list[str | None]:
    """Our name of each column of a header; None for further ones."""
    if len(header) == 1 and any(mark in header[0] for mark in ";\t"):
        raise DataError(
            f"{where} parts its cells by something else than commas ({shown(header[0])}); save it with commas."
        )
    for name, column in columns.items():
        count = list(header).count(column)
        if count > 1 or (count == 0 and name in NEEDED):
            trouble = "more than one column" if count else "no column"
            raise DataError(f"{where} has {trouble} {column!r} (it has: {', '.join(header)}); name another with "
                            f"--slmsec-qa-columns={name}=COLUMN.")  # fmt: skip
    ours = {column: name for name, column in columns.items()}
    return [ours.get(column) for column in header]


def _table(path: Path, rows: Sequence[tuple[int, Sequence[Any]]], columns: Mapping[str, str]) -> list[tuple[int, Row]]:
    """Rows of a table whose first one is the header, by our names."""
    if not rows:
        raise DataError(f"{path} is empty; it needs a header with {' and '.join(NEEDED)}.")
    names = _renamed(f"{path}", [str(cell or "").strip() for cell in rows[0][1]], columns)
    found: list[tuple[int, Row]] = []
    for number, row in rows[1:]:
        if len(row) != len(names):
            raise DataError(
                f"{path}, row {number}: {len(row)} cells in place of {len(names)}; quote cells that hold commas."
            )
        found.append((number, {name: cell for name, cell in zip(names, row, strict=True) if name is not None}))
    return found


def _csv_rows(path: Path, columns: Mapping[str, str]) -> list[tuple[int, Row]]:
    """Rows of comma-separated text (RFC 4180) with or without a byte-order mark, numbered from 1, the header apart."""
    reader = csv.reader(StringIO(decoded(path), newline=""), strict=True)
    try:
        rows = [row for row in reader if row]
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: not comma-separated text ({error}); save it as CSV."
        ) from error
    return _table(path, list(enumerate(rows)), columns)


def _json_rows(path: Path, columns: Mapping[str, str]) -> list[tuple[int, Row]]:
    """Objects of a file of JSON lines, numbered by their lines; at least one."""
    found: list[tuple[int, Row]] = []
    for number, line in enumerate(decoded(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            pairs = json.loads(line, object_pairs_hook=list)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON ({error}); write one object a line.") from error
        if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
            raise DataError(f"{path}, line {number}: {shown(line)} is no object; write one object a line.")
        names = _renamed(f"{path}, line {number},", [key for key, _ in pairs], columns)
        found.append((number, {name: value for name, (_, value) in zip(names, pairs, strict=True) if name is not None}))
    if not found:
        raise DataError(f"{path} is empty; write one object a line.")
    return found


def _xlsx_rows(path: Path, columns: Mapping[str, str]) -> list[tuple[int, Row]]:
    """Rows of the first sheet of a workbook, formulas as they stand, numbered from 1, the header apart."""
    try:
        openpyxl = import_module("openpyxl")
    except ImportError as error:
        raise MissingExtraError("Reading XLSX", "openpyxl", EXTRA) from error
    try:
        book = openpyxl.load_workbook(path, read_only=True)
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    except Exception as error:  # the package raises many kinds on damaged files
        raise DataError(f"{path}: not a workbook ({type(error).__name__}: {error}); save it as XLSX or CSV.") from error
    return _table(
        path, [(number, row) for number, row in enumerate(rows) if any(cell is not None for cell in row)], columns
    )


def _no_rows(path: Path, columns: Mapping[str, str]) -> NoReturn:
    raise DataError(f"{path}: workbooks of this form are not read; save it as XLSX or CSV.")


_READERS = {".jsonl": _json_rows, ".xlsx": _xlsx_rows, ".xlsm": _xlsx_rows, ".xls": _no_rows, ".ods": _no_rows}


def most_central(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The gold answer that reaches the highest mean F1 when it is given to every question."""
    del mode
    best, scores = "", tuple(0.0 for _ in items)
    for answer in dict.fromkeys(item.gold for item in items):
        found = tuple(word_f1(item.gold, answer) for item in items)
        if fsum(found) > fsum(scores):
            best, scores = answer, found
    return ConstantAnswer(best, fsum(scores) / len(items), scores)


def load(root: Path) -> list[Item]:
    """Our own questions; see `tasks.base.Loader`."""
    return read_questions(find_file(root, FILE, NAME))


def task_of_file(path: Path, names: Mapping[str, str]) -> Task:
    """The benchmark of a user's file: ``qa-STEM``.

    Raises:
        DataError, MissingExtraError: see `read_questions`.
    """
    name = f"{NAME}-{path.stem}"
    return _task(name, items=read_questions(path, names, name))


_task = partial(
    Task, scorer=score_short_answer, metric=TOKEN_F1, max_new_tokens=64, constant=most_central,
    needs=("sacrebleu", "rouge"), extra=EXTRA, passages=whole_texts,
)  # fmt: skip

TASKS: tuple[Task, ...] = (_task(NAME, load=load, files=(FILE,), n_items=240),)
