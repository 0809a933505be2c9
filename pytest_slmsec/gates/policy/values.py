"""Readers of configuration keys: each takes a value and where it stands; UsageError names what cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import check_keys
from pytest_slmsec.gates.policy.suite import ALPHA
from pytest_slmsec.gates.statistics.margins import read_margin

MINIMUM_ROUNDS = 10

Reader = Callable[[Any, str], Any]


def as_table(value: Any, where: str) -> Mapping[str, Any]:
    """`value` as a table of keys."""
    if not isinstance(value, Mapping):
        raise UsageError(f"{where} must be a table of keys, not {value!r}.")
    return value


def read_values(table: Mapping[str, Any], readers: Mapping[str, tuple[str, Reader]], where: str) -> dict[str, Any]:
    """Read every key with its reader; `readers` maps a key to the attribute it fills and what reads it."""
    check_keys(where, table, readers)
    found = {}
    for key, value in table.items():
        attribute, read = readers[key]
        found[attribute] = read(value, f"{where} {key}")
    return found


def one_of(*allowed: str) -> Reader:
    """A reader of one of some words."""

    def read(value: Any, where: str) -> str:
        if value not in allowed:
            raise UsageError(f"{where} = {value!r}: must be one of {', '.join(allowed)}.")
        return str(value)

    return read


def text(value: Any, where: str) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where} = {value!r}: must be a text.")
    return value


def error_rate(value: Any, where: str) -> float:
    """A one-sided error rate at which the suite keeps its own."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= ALPHA:
        raise UsageError(f"{where} = {value!r}: must lie in (0, {ALPHA}]; the suite's error rates hold up to {ALPHA}.")
    return float(value)


def probability(value: Any, where: str) -> float:
    """How often a plan wants to succeed."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.5 <= value < 1:
        raise UsageError(f"{where} = {value!r}: must be at least 0.5 and below 1; 0.8 is usual.")
    return float(value)


def flag(value: Any, where: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise UsageError(f"{where} = {value!r}: must be true or false.")
    return value


def count(value: Any, where: str) -> int:
    """A whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UsageError(f"{where} = {value!r}: must be a whole number of at least 1.")
    return value


def memory_runs(value: Any, where: str) -> int:
    """How often a peak is measured."""
    if count(value, where) > 2:
        raise UsageError(f"{where} = {value!r}: must be 1 or 2; a second run shows whether the peak repeats.")
    return int(value)


def speed_rounds(value: Any, where: str) -> int:
    """A number of rounds that gives bounds."""
    if count(value, where) < MINIMUM_ROUNDS:
        raise UsageError(f"{where} = {value!r}: must be at least {MINIMUM_ROUNDS}; 20 is usual.")
    return int(value)


def day(value: Any, where: str) -> date:
    """A date, as TOML knows it or as text."""
    try:
        return value if isinstance(value, date) else date.fromisoformat(value)
    except (TypeError, ValueError):
        raise UsageError(f"{where} = {value!r}: write a date such as 2027-01-31.") from None


def metric_names(value: Any, where: str) -> tuple[str, ...]:
    """A name or a list of names."""
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UsageError(f'{where} = {value!r}: write a name or a list of names, such as ["p_correct", "accuracy"].')
    return tuple(names)


def points(value: Any, where: str) -> float:
    """A margin in points, as a share."""
    margin = read_margin(value, where)
    if margin.relative:
        raise UsageError(f'{where} = {value!r}: write points, such as "2pt".')
    return margin.share
