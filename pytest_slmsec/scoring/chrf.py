"""Free text against a reference by chrF (Popović 2015, aclanthology.org/W15-3049), with the package sacrebleu."""

from __future__ import annotations

from functools import cache
from typing import Any

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.facts import read_answer
from pytest_slmsec.scoring.log_answers import is_fixed_sentence

EXTRA = "chrf"
FORM = "form"
"""Part of the score: the answer has the asked form, or is the fixed sentence."""


@cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def chrf(reference: str, answer: str) -> float:
    """chrF2 of one answer, a share of 1: characters in runs of up to 6, recall counts twice as much as precision."""
    return float(_chrf().sentence_score(answer, [reference]).score) / 100


def score_chrf(item: Item, output: Output, mode: Mode) -> Score:
    """chrF against the gold answer; right is an answer of the same form: an analysis, or the fixed sentence."""
    text = output.text or ""
    refused, wanted = is_fixed_sentence(text, mode), is_fixed_sentence(item.gold, Mode.STRICT)
    has_form = refused or read_answer(text, mode) is not None
    return Score(chrf(item.gold, text) if text.strip() else 0.0, has_form, has_form and refused == wanted, None,
                 {FORM: float(has_form)})  # fmt: skip
