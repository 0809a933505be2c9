"""What a row of a border file asks, and checks of its cells that all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pytest_slmsec.tasks.records import Record
from pytest_slmsec.tasks.tsv import shown

REMEDY = "correct the row, or write the file again with fixtures/border/make_items.py"


class Asked(NamedTuple):
    """What a row asks: the question, the gold answer in the scorer's form, and further facts for `Item.meta`."""

    prompt: str
    gold: str
    meta: dict[str, Any]


def one_of(row: Record, key: str, allowed: Sequence[str]) -> str:
    """The text of a field that takes only some.

    Raises:
        DataError: it is none of them.
    """
    value = row.text(key)
    if value not in allowed:
        row.bad(f"{shown(value)} is none of {', '.join(allowed)}", key, remedy=REMEDY)
    return value


def whole_number(row: Record, least: int, *path: str | int) -> int:
    """The whole number at `path`.

    Raises:
        DataError: it is none, or below `least`.
    """
    value = row.at(*path)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        row.bad(f"{shown(str(value))} is no whole number of at least {least}", *path, remedy=REMEDY)
    return value
