"""TOML files that users write: read into tables, and unknown keys refused with the nearest one that is known."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import UsageError

MOST_LISTED = 30
"""Known keys that a message lists at most; of longer lists the manual tells."""


def read_toml(path: Path, page: str = "") -> dict[str, Any]:
    """The content of a TOML file; a byte order mark is skipped. `page`: of the manual, on what to write into it.

    Raises:
        UsageError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        see = f"; name a TOML file ({page})" if page else ""
        raise UsageError(f"{path} cannot be read: {error.strerror or error}{see}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no valid TOML: {error}.") from error


def check_keys(
    where: str, table: Iterable[str], known: Collection[str], what: str = "unknown key", page: str = ""
) -> None:
    """Refuse the first key of a table that is not known.

    Raises:
        UsageError: as `unknown` words it.
    """
    for key in table:
        if key not in known:
            raise UsageError(unknown(where, what, key, known, page))


def unknown(where: str, what: str, name: str, known: Collection[str], page: str = "") -> str:
    """A sentence on a name that is not known: with the nearest one that is, or all, or the page of the manual."""
    near = difflib.get_close_matches(name, known, 1)
    listed = f"see {page}." if page and len(known) > MOST_LISTED else f"known: {', '.join(known)}."
    hint = f"did you mean {near[0]!r}?" if near else listed
    return f"{where}: {what} {name!r}; {hint}"
