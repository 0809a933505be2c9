"""Exact match, for short answers of a user's own benchmark."""

from __future__ import annotations

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import ANSWER, plain_text


def score_exact(item: Item, output: Output, mode: Mode) -> Score:
    """Right iff the answer's last line equals the gold, apart from case, outer blanks and a full stop at the end.

    An empty answer is unparsed. Strict mode also reads the line without markup (`normalise.plain_text`): ``**22**``.
    """
    said = _last_line(output.text or "")
    correct = bool(said) and said == _plain(item.gold)
    if mode is Mode.STRICT and not correct:
        read = _last_line(plain_text(output.text or "").removeprefix(ANSWER))
        correct = bool(read) and read == _plain(plain_text(item.gold))
        said = read if correct else said
    return Score(float(correct), parsed=bool(said), correct=correct, extracted=said or None)


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return _plain(lines[-1]) if lines else ""


def _plain(text: str) -> str:
    return text.strip().rstrip(".").strip().casefold()
