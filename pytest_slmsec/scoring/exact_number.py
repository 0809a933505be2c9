"""One number in the answer's last line, compared exactly."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text

LONGEST_NUMBER = 40
"""Characters; no amount of money is longer."""

# "1,250.50", "-3", "12": groups of thousands may be parted by commas.
_NUMBER = re.compile(r"(?<![\w.,])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\w)")


def official_number(text: str) -> Decimal | None:
    """The number that the last line consists of; anything else is unparsed."""
    line = _last_line(text)
    return _value(line) if _NUMBER.fullmatch(line) else None


def strict_number(text: str) -> Decimal | None:
    """The last number of the last line that is not blank, without markup: of ``3 x 2.50 = 7.50 crowns`` 7.50."""
    found = _NUMBER.findall(_last_line(plain_text(text)))
    return _value(found[-1]) if found else None


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _value(digits: str) -> Decimal | None:
    if len(digits) > LONGEST_NUMBER:
        return None
    try:
        return Decimal(digits.replace(",", ""))
    except InvalidOperation:
        return None


def score_number(item: Item, output: Output, mode: Mode) -> Score:
    """Right iff the number equals the gold one (7.5 equals 7.50); an answer without a number is unparsed."""
    said = (official_number if mode is Mode.OFFICIAL else strict_number)(output.text or "")
    right = said is not None and said == Decimal(item.gold)
    return Score(float(right), said is not None, right, None if said is None else str(said))
