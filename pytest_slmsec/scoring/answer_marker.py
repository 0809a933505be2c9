"""The letter behind the word ANSWER, as CyberMetric's evaluator reads it.

`CyberMetric_evaluator.py` of the repository `cybermetric/CyberMetric` (Tihanyi et al. 2024, arXiv 2402.07688) takes the
first match and asks up to five times until there is one. Greedy decoding gives the same answer each time, so it is
asked once here.
"""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.letters import strict_letter

# "ANSWER: B", "answer b".
_MARKED = re.compile(r"ANSWER:?\s*([A-D])", re.I)


def marked_letter(text: str) -> str | None:
    """The first letter A-D right behind ``ANSWER``, in any case: also the first letter of a word ("answer depends")."""
    match = _MARKED.search(text)
    return match[1].upper() if match else None


def score_marked_letter(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the letter. Official: `marked_letter`, and an answer without one is wrong, not dropped, so that
    none counts as unparsed. Strict: `scoring.letters.strict_letter`."""
    text = output.text or ""
    letter = strict_letter(text) if mode is Mode.STRICT else marked_letter(text)
    right = letter == item.gold
    return Score(float(right), mode is Mode.OFFICIAL or letter is not None, right, letter)
