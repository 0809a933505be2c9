"""The journal: an append-only, crash-safe record of answers.

One line holds one batch, or facts about the run: a CRC-32 in hex, a blank, and JSON. A line is written, flushed and
synced to disk before the run goes on, so a process that is killed loses the batch in flight and nothing else. A torn
last line (no newline, or a checksum that does not fit) is cut off when the journal is opened again; a damaged line
before it is passed over and counted, never used.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import JournalError
from pytest_slmsec.core.items import Output

FORMAT = 1
KIND = "kind"
"""Key of a journal line that is no batch of answers, for what it is; see `Journal.note`."""
BEGINNING = (b"0123456789abcdef",) * 8 + (b" ", b"{")
"""The allowed bytes at each of the first ten places of a journal: a checksum in hex, a blank, a brace."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """One journaled batch.

    Attributes:
        keys: `identity.answer_key` of each request.
        outputs: what the engine gave, in the same order; outputs with an error are not journaled, so that a resumed
            run tries them again.
        timing: fields of `engines.base.Timing`, as plain data.
        meters: what the meters read over the batch, as plain data.
        notes: facts for the record.
    """

    keys: tuple[str, ...]
    outputs: tuple[Output, ...]
    timing: Mapping[str, Any]
    meters: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data, the inverse of `from_json`."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StoredBatch:
        """A batch from plain data.

        Raises:
            ValueError: written by another version of the format.
        """
        if data.get("format") != FORMAT:
            raise ValueError(f"journal format {data.get('format')!r}, not {FORMAT}")
        outputs = tuple(map(_output, data["outputs"]))
        return cls(tuple(data["keys"]), outputs, data["timing"], data["meters"], tuple(data["notes"]))


def _output(plain: Mapping[str, Any]) -> Output:
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    return Output(**fields)


def encode(value: Mapping[str, Any]) -> bytes:
    """One journal line. Line breaks and lone surrogates inside strings are escaped, so a line is one line."""
    body = json.dumps(value, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def decode(line: bytes) -> dict[str, Any] | None:
    """The JSON of one line, or None where the line is torn or damaged."""
    checksum, blank, body = line.rstrip(b"\n").partition(b" ")
    try:
        if not (line.endswith(b"\n") and blank and int(checksum, 16) == zlib.crc32(body)):
            return None
        value = json.loads(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read(path: Path) -> tuple[list[dict[str, Any]], int, int]:
    """All sound lines of a journal.

    Returns:
        The lines as JSON objects, the length in bytes up to the last sound line, and the number of damaged lines.

    Raises:
        JournalError: the file cannot be read.
    """
    values: list[dict[str, Any]] = []
    sound, damaged, offset = 0, 0, 0
    try:
        with path.open("rb") as file:
            for line in file:
                offset += len(line)
                value = decode(line)
                if value is None:
                    damaged += 1
                else:
                    values.append(value)
                    sound = offset
    except OSError as error:
        raise JournalError(f"The journal {path} cannot be read ({error.strerror}).") from error
    return values, sound, damaged


class Journal:
    """Answers on disk, by content key. Open one with `resume` to reuse what is there, or `start` to begin anew."""

    def __init__(self, path: Path, file: FileIO | None, batches: Sequence[StoredBatch], damaged: int) -> None:
        self.path = path
        self.damaged_lines = damaged
        self._file = file
        self._batches: dict[str, tuple[StoredBatch, int]] = {
            key: (batch, row) for batch in batches for row, key in enumerate(batch.keys)
        }
        self._earlier = {id(batch): batch for batch in batches}

    @classmethod
    def start(cls, path: Path) -> Journal:
        """A new, empty journal; one that stands at `path` is kept beside it under the next free number.

        Raises:
            JournalError: the file at `path` is no journal, or the new one cannot be written.
        """
        _refuse_foreign(path)
        _make_folder(path.parent)
        if path.exists() and path.stat().st_size:
            number = 1
            aside = _numbered(path, number)
            while aside.exists():
                number += 1
                aside = _numbered(path, number)
            path.rename(aside)
        return cls(path, _open(path), (), 0)

    @classmethod
    def resume(cls, path: Path, also: Sequence[Path] = ()) -> Journal:
        """The journal at `path` with everything sound in it; a torn end is cut off.

        Args:
            also: journals to read from and not to write to (those of other worker processes).

        Raises:
            JournalError: the file at `path` is no journal, or cannot be read or written.
        """
        _refuse_foreign(path)
        _make_folder(path.parent)
        batches: list[StoredBatch] = []
        damaged = 0
        for other in also:
            damaged += _batches_of(read(other)[0], batches)
        if not path.exists():
            return cls(path, _open(path), batches, damaged)
        values, sound, torn = read(path)
        damaged += torn + _batches_of(values, batches)
        file = _open(path)
        file.truncate(sound)
        return cls(path, file, batches, damaged)

    @classmethod
    def reading(cls, path: Path, lines: Sequence[Mapping[str, Any]]) -> Journal:
        """The answers among the lines of one or several journals (see `read`), not to be written to.

        Args:
            path: that of the first of them, for messages.
        """
        batches: list[StoredBatch] = []
        damaged = _batches_of(lines, batches)
        return cls(path, None, batches, damaged)

    def __len__(self) -> int:
        return len(self._batches)

    def output(self, key: str) -> Output | None:
        """The stored output for a key, or None."""
        found = self._batches.get(key)
        return found[0].outputs[found[1]] if found else None

    def batch_of(self, key: str) -> StoredBatch | None:
        """The batch in which the answer was measured, or None."""
        found = self._batches.get(key)
        return found[0] if found else None

    def is_earlier(self, batch: StoredBatch) -> bool:
        """Whether a batch was in the journal when it was opened."""
        return id(batch) in self._earlier

    def append(self, batch: StoredBatch) -> None:
        """Write one batch through to the disk.

        Raises:
            JournalError: the disk is full or the file cannot be written. What was stored before stays whole: a partly
                written line is taken back.
        """
        self._write(batch.to_json())
        for row, key in enumerate(batch.keys):
            self._batches[key] = (batch, row)

    def note(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Write a line that is no batch, such as the facts about a model. `facts` is plain data.

        Raises:
            JournalError: as for `append`.
        """
        self._write({KIND: kind, **facts})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            raise JournalError(f"The journal {self.path} was opened to be read.")
        end = self._file.seek(0, os.SEEK_END)
        try:
            _write_all(self._file, encode(line))
            os.fsync(self._file.fileno())
        except OSError as error:
            self._take_back(self._file, end)
            raise JournalError(
                f"The journal {self.path} cannot be written ({error.strerror}): free some space or name another place "
                f"with --slmsec-journal=FILE; the {len(self)} answers before are safe: --slmsec-resume reuses them."
            ) from error

    @staticmethod
    def _take_back(file: FileIO, end: int) -> None:
        try:
            file.truncate(end)
        except OSError:
            pass  # the torn line is recognised by its checksum when the journal is read

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")


def _batches_of(values: Sequence[Mapping[str, Any]], batches: list[StoredBatch]) -> int:
    """Append the batches among journal lines to `batches`; returns how many lines are of another format."""
    foreign = 0
    for value in values:
        if KIND in value:
            continue
        try:
            batches.append(StoredBatch.from_json(value))
        except (ValueError, KeyError, TypeError):
            foreign += 1
    return foreign


def _refuse_foreign(path: Path) -> None:
    """A file that somebody else wrote is neither moved aside nor written to. A journal begins with a checksum, or with
    as much of it as a killed process could write."""
    if not path.is_file():
        return
    try:
        with path.open("rb") as file:
            head = file.read(len(BEGINNING))
    except OSError:
        return  # whoever opens it for writing says why not
    fits = [byte in wanted for byte, wanted in zip(head, BEGINNING, strict=False)]
    if not all(fits):
        raise JournalError(
            f"{path} is no journal of slmsec: it was left as it is; name another file with --slmsec-journal=FILE."
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        ignore_file = folder / ".gitignore"
        if folder.name == ".slmsec" and not ignore_file.exists():
            ignore_file.write_text("*\n", "utf-8")
    except OSError as error:
        raise JournalError(
            f"The folder {folder} for the journal cannot be made ({error.strerror}): "
            "name a writable place with --slmsec-journal=FILE."
        ) from error


def _write_all(file: FileIO, line: bytes) -> None:
    """Write every byte: one write to a nearly full disk may take only a part and report the error on the next."""
    rest = memoryview(line)
    while rest:
        rest = rest[file.write(rest) :]


def _open(path: Path) -> FileIO:
    try:
        return FileIO(path, "ab")
    except OSError as error:
        raise JournalError(
            f"The journal {path} cannot be opened for writing ({error.strerror}): "
            "name a writable place with --slmsec-journal=FILE."
        ) from error
