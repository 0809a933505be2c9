"""Codes of the Harmonised System in answers: ten digits, of which the first six are the international part."""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import ANSWER, both_ends, plain_text

DIGITS, SUBHEADING = 10, 6

# "8517.62.00.90", "8517 6200 90", "851762": four digits and two or more, parted by points or blanks.
_CODE = re.compile(r"(?<![\d.])\d{4}[. ]?\d{2}(?:[. ]?\d{2}){0,2}(?![\d]|\.\d)")
# "Answer:", "HS code:", "code is": the code behind it counts.
_STATED = re.compile(r"(?:\b(?:answer|code|hts|classification)\b[^\n\d]{0,30})$", re.I)


def code_digits(text: str) -> str:
    """The digits of a code: ``8517620090`` of ``8517.62.00.90``."""
    return re.sub(r"\D", "", text)


def stated_code(text: str) -> str | None:
    """The digits of the code that an answer states: the last one behind "Answer:" or "code", else the last one."""
    plain = plain_text(text).removeprefix(ANSWER)
    found = list(_CODE.finditer(plain))
    stated = [match for match in found if _STATED.search(plain, max(0, match.start() - 60), match.start())]
    chosen = stated or found
    return code_digits(chosen[-1][0]) if chosen else None


def official_code(text: str) -> str | None:
    """The last run that looks like a code, as the paper compares: digits only."""
    found = _CODE.findall(both_ends(text))
    return code_digits(found[-1]) if found else None


def score_code(item: Item, output: Output, mode: Mode) -> Score:
    """Right by all ten digits; parts ``six_digits``, ``four_digits`` and ``two_digits`` are the coarser levels."""
    code = (official_code if mode is Mode.OFFICIAL else stated_code)(output.text or "")
    right = code == item.gold
    levels = {"six_digits": SUBHEADING, "four_digits": 4, "two_digits": 2}
    parts = {name: float(code is not None and code[:n] == item.gold[:n]) for name, n in levels.items()}
    return Score(float(right), code is not None, right, code, parts)
