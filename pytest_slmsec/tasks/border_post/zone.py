"""Machine-readable zones of travel documents (ICAO Doc 9303, 8th edition): part 3, section 4.9 (check digits); part 4,
section 4.2 (TD3, passports); part 5, section 4.2 (TD1, identity cards).

A zone is a list of lines: TD3 has two of 44 characters, TD1 three of 30. Only ``A`` to ``Z``, ``0`` to ``9`` and the
filler ``<`` may stand in it. Places count from 0 here and from 1 in Doc 9303.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

WEIGHTS = (7, 3, 1)
CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
FILLER = "<"
COMPOSITE = "composite"

NUMBER, BIRTH, EXPIRY, OPTIONAL = "document number", "date of birth", "date of expiry", "optional data"
SURNAME, GIVEN, SEX, NATIONALITY = "surname", "given names", "sex", "nationality"

_FOREIGN = re.compile(r"[^A-Z0-9<]")


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive) of a line."""

    line: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a zone stand.

    Attributes:
        title: for prompts. lines, width: of the zone.
        fields: the span of each data element.
        digits: the place of the check digit of each element that has one.
        names: the line and the place where the names begin.
        composite: the spans that the composite check digit covers, in order, and `composite_digit`, its place.
    """

    title: str
    lines: int
    width: int
    fields: Mapping[str, Span]
    digits: Mapping[str, Span]
    names: Span
    composite: tuple[Span, ...]
    composite_digit: Span


LAYOUTS = {
    "TD3": Layout(
        "a passport (TD3)", 2, 44,
        fields={NUMBER: Span(1, 0, 9), NATIONALITY: Span(1, 10, 13), BIRTH: Span(1, 13, 19), SEX: Span(1, 20, 21),
                EXPIRY: Span(1, 21, 27), OPTIONAL: Span(1, 28, 42)},
        digits={NUMBER: Span(1, 9, 10), BIRTH: Span(1, 19, 20), EXPIRY: Span(1, 27, 28), OPTIONAL: Span(1, 42, 43)},
        names=Span(0, 5, 44),
        composite=(Span(1, 0, 10), Span(1, 13, 20), Span(1, 21, 43)),
        composite_digit=Span(1, 43, 44),
    ),
    "TD1": Layout(
        "an identity card (TD1)", 3, 30,
        fields={NUMBER: Span(0, 5, 14), BIRTH: Span(1, 0, 6), SEX: Span(1, 7, 8), EXPIRY: Span(1, 8, 14),
                NATIONALITY: Span(1, 15, 18)},
        digits={NUMBER: Span(0, 14, 15), BIRTH: Span(1, 6, 7), EXPIRY: Span(1, 14, 15)},
        names=Span(2, 0, 30),
        composite=(Span(0, 5, 30), Span(1, 0, 7), Span(1, 8, 15), Span(1, 18, 29)),
        composite_digit=Span(1, 29, 30),
    ),
}  # fmt: skip


def check_digit(text: str) -> str:
    """The check digit of a data element: weights 7, 3, 1, digits as they are, ``A`` 10 to ``Z`` 35, ``<`` 0, mod 10.

    Raises:
        ValueError: another character.
    """
    values = (0 if char == FILLER else CHARACTERS.index(char) for char in text)
    return str(sum(value * WEIGHTS[place % 3] for place, value in enumerate(values)) % 10)


def at(zone: Sequence[str], span: Span) -> str:
    """The characters of a zone at `span`."""
    return zone[span.line][span.start : span.end]


def with_text(zone: Sequence[str], span: Span, text: str) -> list[str]:
    """A zone with other characters at `span`; `text` is as long as the span."""
    line = zone[span.line]
    changed = line[: span.start] + text + line[span.end :]
    return [changed if number == span.line else other for number, other in enumerate(zone)]


def trouble_with(zone: Sequence[str], kind: str) -> str | None:
    """Why lines are no zone of the kind ``TD1`` or ``TD3``, or None where they are one."""
    layout = LAYOUTS[kind]
    if len(zone) != layout.lines:
        return f"a {kind} zone has {layout.lines} lines and this one has {len(zone)}"
    for number, line in enumerate(zone, 1):
        if len(line) != layout.width:
            return f"line {number} has {len(line)} characters and a {kind} zone has {layout.width}"
        foreign = _FOREIGN.search(line)
        if foreign is not None:
            return (
                f"line {number} holds {foreign[0]!r} at place {foreign.start() + 1}, where only A-Z, 0-9 and < may be"
            )
    return None


def failing_digits(zone: Sequence[str], kind: str) -> list[str]:
    """Names of the data elements whose own check digit does not fit, or ``composite`` where no other fails.

    A damaged element fails the composite digit as well. The digit of an optional element that is all filler may be
    ``0`` or the filler (part 4, section 4.2.2).
    """
    layout = LAYOUTS[kind]
    failing = [
        name for name, place in layout.digits.items() if not _fits(at(zone, layout.fields[name]), at(zone, place))
    ]
    covered = "".join(at(zone, span) for span in layout.composite)
    if failing or check_digit(covered) == at(zone, layout.composite_digit):
        return failing
    return [COMPOSITE]


def _fits(element: str, digit: str) -> bool:
    empty = not element.strip(FILLER) and digit == FILLER
    return empty or check_digit(element) == digit


def sealed(zone: Sequence[str], kind: str) -> list[str]:
    """A zone with every check digit computed anew, the composite one last."""
    layout, found = LAYOUTS[kind], list(zone)
    for name, place in layout.digits.items():
        found = with_text(found, place, check_digit(at(found, layout.fields[name])))
    covered = "".join(at(found, span) for span in layout.composite)
    return with_text(found, layout.composite_digit, check_digit(covered))


def values_of(zone: Sequence[str], kind: str, today: date) -> dict[str, str]:
    """The data elements as a person writes them: fillers as blanks, dates as ``1984-02-01``.

    Args:
        today: two-digit years of birth lie in the hundred years before it.

    Raises:
        ValueError: a date that the calendar does not have.
    """
    layout = LAYOUTS[kind]
    surname, _, given = at(zone, layout.names).partition(2 * FILLER)
    return {
        SURNAME: _plain(surname),
        GIVEN: _plain(given),
        NUMBER: _plain(at(zone, layout.fields[NUMBER])),
        NATIONALITY: _plain(at(zone, layout.fields[NATIONALITY])),
        BIRTH: born(at(zone, layout.fields[BIRTH]), today).isoformat(),
        SEX: at(zone, layout.fields[SEX]),
        EXPIRY: expires(at(zone, layout.fields[EXPIRY])).isoformat(),
    }


def _plain(element: str) -> str:
    return " ".join(element.split(FILLER)).strip()


def born(element: str, today: date) -> date:
    """A date of birth ``YYMMDD``: the latest such day that is not after `today`."""
    in_this_century = date(today.year // 100 * 100 + int(element[:2]), int(element[2:4]), int(element[4:]))
    return in_this_century if in_this_century <= today else in_this_century.replace(year=in_this_century.year - 100)


def expires(element: str) -> date:
    """A date of expiry ``YYMMDD``, which lies in this century; the document is valid up to and on that day."""
    return date(2000 + int(element[:2]), int(element[2:4]), int(element[4:]))
