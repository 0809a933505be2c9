"""The one letter of a multiple-choice answer in English or Chinese, as SEvenLLM-Bench reads it (Ji et al. 2024, arXiv
2405.03446; upstream `code/score/choice_sorce-path.py`, the same rule in versions 1 and 2), and our own reading."""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.stated_letters import stated_letters

LETTERS = "ABCD"

# "B、木马": a Chinese label; not "A、C、D", which is a list.
_CHINESE_LABEL = re.compile(r"^([^\S\n]{0,8}[A-D])\u3001(?![^\S\n]{0,8}[A-D](?![A-Za-z]))", re.M)


def official_letter(text: str) -> str | None:
    """The only one of the characters A, B, C, D in a text; a text with several of them, or none, is unparsed."""
    found = [character for character in text if character in LETTERS]
    return found[0] if len(found) == 1 else None


def stated_letter(text: str) -> str | None:
    """The one letter that an answer commits to ("Answer: B", "A. Banks"), or None; also where a Chinese label ends with
    an enumeration comma."""
    letters = stated_letters(_CHINESE_LABEL.sub(r"\1. ", text)) or frozenset()
    return next(iter(letters)) if len(letters) == 1 and letters <= frozenset(LETTERS) else None


def score_choice(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the letter. An answer without one is wrong in both modes: upstream divides by all items."""
    letter = (official_letter if mode is Mode.OFFICIAL else stated_letter)(output.text or "")
    right = letter == item.gold
    return Score(float(right), letter is not None, right, letter)
