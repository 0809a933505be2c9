"""The letter of a multiple-choice answer, read out of free text.

`official_letter` follows `format_mcq` of CTIBench (Alam et al. 2024, arXiv 2406.07599; upstream
`evaluation/model-prediction.ipynb`) with its defects. `strict_letter` is our own reading of what an answer says.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_slmsec.core.items import REBUILT, Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.stated_letters import stated_letter

OFFICIAL_ANSWERS = frozenset("ABCDX")
LONGEST_OPTION = 300
"""Characters."""


def official_letter(text: str) -> str | None:
    """The answer as CTIBench extracts it; any other text than a letter is returned whole, for the validity test.

    Returns:
        Usually a letter; None where the upstream rule fails with an index error (empty text, a bare ``**``).
    """
    lines = text.split("\n")
    try:
        last = lines[-1].rstrip()
        found = _official_line(last)
        if found is None and not last:
            found = _official_line(lines[-2].rstrip())
    except IndexError:
        return None
    return " ".join(lines) if found is None else found


def _official_line(line: str) -> str | None:
    if line.startswith(("A)", "B)", "C)", "D)")):
        return line[0]
    if line.endswith(("A", "B", "C", "D")):
        return line[-1]
    return line[-3] if line.endswith("**") else None


def strict_letter(text: str) -> str | None:
    """The one letter from A to D that an answer commits to, or None; see `stated_letters.stated_letter`."""
    return stated_letter(text)


def letter_of_text(text: str, options: Sequence[str]) -> str | None:
    """The letter of the option whose text is the whole answer, apart from case, markup and a full stop; None where it
    is none of them, or the text of several."""
    said = _comparable(text)
    found = [letter for letter, option in zip("ABCD", options, strict=False) if said and _comparable(option) == said]
    return found[0] if len(found) == 1 else None


def _comparable(text: str) -> str:
    plain = plain_text(text).casefold()
    return plain.removeprefix("answer:").strip(" .\"'\n")


def _strict(item: Item, text: str) -> str | None:
    """The stated letter, else that of the option whose text the answer repeats.

    Raises:
        KeyError: the answer may be the text of an option, and the item is one rebuilt from a stored run, without them.
    """
    letter = strict_letter(text)
    if letter is not None:
        return letter
    if REBUILT in item.meta and is_one_phrase(text):
        raise KeyError("options")
    return letter_of_text(text, item.meta.get("options", ()))


def is_one_phrase(text: str) -> bool:
    """Whether a text could be that of an option: one short line of more than one word."""
    line = text.strip()
    return len(line) <= LONGEST_OPTION and "\n" not in line and " " in line


def score_letter(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the letter. Official: valid iff A, B, C, D or X (X, a refusal, is wrong but valid)."""
    text = output.text or ""
    if mode is Mode.OFFICIAL:
        answer = (official_letter(text) or "").upper()
        letter = answer if answer in OFFICIAL_ANSWERS else None
    else:
        letter = _strict(item, text)
    right = letter == item.gold
    return Score(float(right), letter is not None, right, letter)
