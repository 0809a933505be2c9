"""Reading the files of recorded runs: JSON and JSON lines in UTF-8, with errors that name file and record."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.core.wrap import shortened

SHOWN = 60


def text_of(path: Path) -> str:
    """The content of a file in UTF-8.

    Raises:
        ReplayError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ReplayError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ReplayError(
            f"{path}, line {line}: not UTF-8 ({error.reason}): save it as UTF-8, or record the run again."
        ) from error


def json_of(text: str, where: str) -> Any:
    """The value of a JSON text; NaN and Infinity are refused.

    Args:
        where: file and record, for messages.

    Raises:
        ReplayError: it is no JSON.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ReplayError(f"{where}: no valid JSON, or cut off ({error}): record the run again.") from error


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number that JSON knows")


def json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each line of a file as an object, with ``line 7`` for messages. Empty lines are passed over.

    Raises:
        ReplayError: a line is no JSON object.
    """
    for number, line in enumerate(text_of(path).split("\n"), 1):
        if not line.strip():
            continue
        value = json_of(line, f"{path}, line {number}")
        if not isinstance(value, dict):
            raise ReplayError(f"{path}, line {number}: {shown(value)} is no JSON object: record the run again.")
        yield f"line {number}", value


def first_object(path: Path) -> Mapping[str, Any]:
    """The first line of a file as a JSON object, to tell its form; empty where it is none."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.readline().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def field(record: Mapping[str, Any], key: str, kinds: type | tuple[type, ...], where: str) -> Any:
    """A field of a record, of one of the given types; true and false are no numbers.

    Raises:
        ReplayError: it is missing or something else.
    """
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    value = record.get(key)
    if key not in record or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        what = f"is {shown(value)}, not {names}" if key in record else "is missing"
        raise ReplayError(f"{where}: {key!r} {what}.")
    return value


def shown(value: Any) -> str:
    """A value for a message: escaped and short."""
    text = ascii(value)
    return shortened(text, SHOWN)
