"""The files of a run: rows as JSON lines and CSV, what was left out, the tree of topics, and the manifest."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.synthesize.pipeline import Rejected, Row
from pytest_slmsec.synthesize.topics import Tree

JOURNAL, TOPICS, ROWS, TABLE = "journal.jsonl", "topics.json", "data.jsonl", "data.csv"
REJECTED, MANIFEST = "rejected.jsonl", "manifest.json"
COLUMNS = ("question", "answer", "topic", "model", "prompt_sha256", "question_prompt_sha256")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, "CSV Injection")."""


def escaped(cell: str) -> str:
    """A cell of CSV that no spreadsheet runs: an apostrophe before what would begin a formula, blanks before it or
    not."""
    return f"'{cell}" if cell.startswith(FORMULA) or cell.lstrip().startswith(FORMULA) else cell


def plain_row(row: Row, model: str) -> dict[str, Any]:
    """A row as it is written: a conversation, and where it comes from."""
    turns = [("user", row.question.text), ("assistant", row.answer)]
    return {
        "messages": [{"role": role, "content": text} for role, text in turns],
        "topic": list(row.question.topic),
        "model": model,
        "prompt_sha256": row.prompt_sha256,
        "question_prompt_sha256": row.question.prompt_sha256,
    }


def write_rows(folder: Path, rows: Sequence[Row], rejected: Sequence[Rejected], model: str) -> None:
    """Write rows and what was left out; each file appears whole.

    Raises:
        DataError: a file cannot be written.
    """
    plain = [plain_row(row, model) for row in rows]
    write_whole(folder / ROWS, _json_lines(plain))
    write_whole(folder / TABLE, _table(rows, model))
    write_whole(folder / REJECTED, _json_lines({**asdict(one), "topic": list(one.topic)} for one in rejected))


def write_tree(folder: Path, tree: Tree) -> None:
    """Save the topics where they can be edited."""
    write_whole(folder / TOPICS, json.dumps(tree.plain(), ensure_ascii=False, indent=2) + "\n")


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write the manifest."""
    write_whole(folder / MANIFEST, json.dumps(facts, ensure_ascii=False, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and move it there, so that no half of it is ever read."""
    part = path.with_name(f"{path.name}.part")

    def write() -> None:
        part.write_bytes(text.encode("utf-8", "replace"))
        os.replace(part, path)

    _writing(path, write)


def make_folder(folder: Path) -> None:
    """Make the folder of a run."""
    _writing(folder, lambda: folder.mkdir(parents=True, exist_ok=True))


def _writing(path: Path, write: Callable[[], None]) -> None:
    try:
        write()
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}): free some space, or name another folder with "
                        "--out DIR; answers that were journaled are kept.") from error  # fmt: skip


def _json_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _table(rows: Sequence[Row], model: str) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for row in rows:
        question = row.question
        cells = (question.text, row.answer, " > ".join(question.topic), model, row.prompt_sha256,
                 question.prompt_sha256)  # fmt: skip
        writer.writerow(map(escaped, cells))
    return file.getvalue()
