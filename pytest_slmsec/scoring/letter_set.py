"""The set of letters of a multiple-choice answer that may have several right options.

Two released scorers, with their defects, and our own reading:

* `official_seceval`: `eval/eval.py` of the repository `XuanwuAI/SecEval`: every A, B, C and D anywhere in the text.
* `official_opseval`: `src/network_score.py`, function `format_sc`, of the fork `lwhere/OpsEval-Datasets` (the
  repository of the data has no scorer). Letters must be parted by commas; another capital word makes the answer empty.
* `strict_letters`: what an answer says, in English or Chinese; used in strict mode, and in both modes for SecBench, of
  which no scorer was released (its authors report "correctness", all letters and no other).

All of them count an item as right only when the set is exactly that of the gold answer.
"""

from __future__ import annotations

import re

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import SHARE, UNSCORED
from pytest_slmsec.scoring.stated_letters import stated_letters


def gold_letters(gold: str) -> frozenset[str]:
    """The letters of a published answer (``B``, ``AC``, ``A,D,E,``); a number names the option at that place."""
    letters = frozenset(re.findall(r"[A-H]", gold.upper()))
    place = gold.strip()
    return letters or frozenset("ABCDEFGH"[int(place) - 1] if place in tuple("12345678") else "")


def letters_share(gold: str) -> str:
    """Which accuracy an item counts for besides the whole: that of the items with one right letter, or with several."""
    return "several letters" if len(gold_letters(gold)) > 1 else "one letter"


def official_seceval(text: str) -> str:
    """All of A-D that occur in the text once ``Answer:`` is taken out, in order: ``ABD``; may be empty."""
    return "".join(sorted(set(re.findall(r"[A-D]", text.replace("Answer:", "")))))


def official_opseval(text: str) -> frozenset[str]:
    """The capital words between commas, if all words of the first run of letters are capitals; else nothing.

    ``and`` counts as a comma, also inside a word. The run starts at the first capital letter and ends before the first
    character that is no ASCII letter, blank or comma.
    """
    words = [_run(part.strip()) for part in _run(text).split(",")]
    words = [word for word in words if word]
    return frozenset(words if all(word.isascii() and word.isupper() for word in words) else ())


def _run(text: str) -> str:
    text = text.replace("and", ",")
    start = next((at for at, char in enumerate(text) if char.isupper()), None)
    if start is None:
        return ""
    rest = enumerate(text[start + 1 :], start + 1)
    inside = " ,abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text[start : next((at for at, char in rest if char not in inside), len(text))]


def strict_letters(text: str) -> frozenset[str] | None:
    """The letters from A to H that an answer commits to, or None; see `stated_letters.stated_letters`."""
    return stated_letters(text)


def _score(item: Item, letters: frozenset[str], parsed: bool, right: bool) -> Score:
    shares = {f"{SHARE}{name}": float(right) for name in item.meta.get("shares", ())}
    return Score(float(right), parsed, right, "".join(sorted(letters)) or None, shares)


def score_letter_set(item: Item, output: Output, mode: Mode) -> Score:
    """Right iff the answer's letters are exactly those of the gold answer; both modes are the same.

    An item without a published answer (seven of SecEval) cannot be answered: its part `UNSCORED` keeps it out of the
    metric's denominator.
    """
    del mode
    letters, gold = strict_letters(output.text or ""), gold_letters(item.gold)
    if not gold:
        return Score(0.0, letters is not None, False, "".join(sorted(letters or ())) or None, {UNSCORED: 1.0})
    return _score(item, letters or frozenset(), letters is not None, letters == gold)


def score_seceval(item: Item, output: Output, mode: Mode) -> Score:
    """Official: as `official_seceval`; no answer counts as unparsed, the seven items without a published answer are
    right when no letter occurs, and the two answers published as ``AA`` are never right."""
    if mode is Mode.STRICT:
        return score_letter_set(item, output, mode)
    letters = official_seceval(output.text or "")
    return _score(item, frozenset(letters), True, letters.lower() == item.gold.lower())


def score_opseval(item: Item, output: Output, mode: Mode) -> Score:
    """Official: as `official_opseval`; no answer counts as unparsed, and the answers published with a comma at the end
    or as a number are never right."""
    if mode is Mode.STRICT:
        return score_letter_set(item, output, mode)
    letters = official_opseval(output.text or "")
    return _score(item, letters, True, letters == {part.strip() for part in item.gold.split(",")})
