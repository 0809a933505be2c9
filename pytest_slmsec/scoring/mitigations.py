"""Sets of MITRE ATT&CK mitigation ids (``M1038``) in answers."""

from __future__ import annotations

import re

from pytest_slmsec.scoring.asides import is_aside
from pytest_slmsec.scoring.normalise import plain_text

# "M1038", "m 1038"; not of "AM1038" or "M10381".
_ID = re.compile(r"(?<![A-Za-z\d])M[ -]?(\d{4})(?!\d)", re.I)
# "Answer:", "Recommended mitigation IDs:", "The mitigations are": what announces the list.
_ANNOUNCED = re.compile(
    r"\b(?:answers?|ids?|mitigations?|final|recommend(?:ed|ation)?s?)\b[^\n]{0,60}?(?::|\bare\b)", re.I
)
# What may stand between the ids of a bare list.
_JOINED = re.compile(r"\b(?:and|or)\b|[\W_]+", re.I)


def mitigation_ids(text: str) -> frozenset[str]:
    """All mitigation ids in a text."""
    return frozenset(f"M{digits}" for digits in _ID.findall(text))


def strict_mitigations(text: str) -> frozenset[str]:
    """The ids that an answer states. Strongest reading first:

    1. the last line that an announcement opens ("Answer: M1038, M1040") or that holds nothing but ids;
    2. all lines that begin with an id or a bullet and an id, taken together;
    3. the ids of the last line that has any.

    Ids that are set aside ("rather than M1021") do not count.
    """
    lines = [line.strip() for line in plain_text(text).split("\n") if _ID.search(line)]
    stated = [
        line for line in lines if _ANNOUNCED.search(line[: _first(line)]) or not _JOINED.sub("", _ID.sub("", line))
    ]
    listed = [line for line in lines if len(_JOINED.sub("", line[: _first(line)])) <= 1]
    chosen = stated[-1:] or listed or lines[-1:]
    single = bool(stated) or not listed
    return frozenset(name for line in chosen for name in (_meant(line) if single else _meant(line)[:1]))


def _first(line: str) -> int:
    found = _ID.search(line)
    return found.start() if found else 0


def _meant(line: str) -> list[str]:
    return [f"M{found[1]}" for found in _ID.finditer(line) if not is_aside(line, found.start(), found.end())]
