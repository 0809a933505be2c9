"""Options that an answer grades one by one: "A) wrong", "B) correct", a table of yes and no, ticked boxes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pytest_slmsec.scoring.option_lists import Letters

FEWEST = 3
"""Lines with grades: two could be the options "A) True" and "B) False", repeated."""
LINES_READ = 40

_RIGHT = r"(?:\(correct\)|correct|right|true|yes|richtig|correct[oa]|vrai|sí|oui|ja|正确|对|是)"
_WRONG = r"(?:\(wrong\)|incorrect|wrong|false|no|not correct|falsch|incorrect[oa]|faux|non|nein|错误|不正确|错|否)"
# "[x] ", "[ ] ", "(correct) " before the label of an option.
_MARK = r"(?:(?P<ticked>\[[xX]\]|\(correct\))|(?P<unticked>\[ \]|\(wrong\)))\s"
_LETTER = r"[\s|\"'(\[]{0,4}(?P<letter>[A-H])(?![A-Za-z0-9])"
_MARKED = re.compile(rf"[\s|]{{0,3}}{_MARK}{_LETTER}")
# "B) Audit: correct", "| B | Yes |", "B. (correct)".
_GRADED = re.compile(
    rf"{_LETTER}[)\].:|\s\"'-]{{1,5}}(?:[^\n]{{0,200}}[-:|(>]\s?)?"
    rf"(?:(?P<right>{_RIGHT})|(?P<wrong>{_WRONG}))[\s.!|)]{{0,4}}$",
    re.I,
)


def graded_options(lines: Sequence[str]) -> Letters | None:
    """The options that are graded as right, where at least `FEWEST` options are graded, each once, the last of them on
    the last line; None where that is not so, or none is right."""
    grades: dict[str, bool] = {}
    if len(lines) > LINES_READ or not lines or grade(lines[-1]) is None:
        return None
    for line in lines:
        graded = grade(line)
        if graded is None:
            continue
        letter, right = graded
        if letter in grades:
            return None
        grades[letter] = right
    found = frozenset(letter for letter, right in grades.items() if right)
    return found if len(grades) >= FEWEST and found else None


def grade(line: str) -> tuple[str, bool] | None:
    """The option of a line and whether it is graded as right."""
    marked = _MARKED.match(line)
    if marked:
        return marked["letter"].upper(), marked["ticked"] is not None
    graded = _GRADED.match(line)
    return (graded["letter"].upper(), graded["right"] is not None) if graded else None
