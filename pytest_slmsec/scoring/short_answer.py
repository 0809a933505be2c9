"""Short answers against one reference: word F1 and exact match as SQuAD counts them (`scoring.squad_text`), beside them
chrF, ROUGE-L, and the share of given facts that is named."""

from __future__ import annotations

import json
from math import fsum

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.chrf import chrf
from pytest_slmsec.scoring.facts import meets
from pytest_slmsec.scoring.normalise import plain_text
from pytest_slmsec.scoring.rouge_l import rouge_l
from pytest_slmsec.scoring.similarity import Passages
from pytest_slmsec.scoring.squad_text import normalised, word_f1

EXACT, CHRF, ROUGE_L, FACTS = "exact_match", "chrf", "rouge_l", "facts"
"""Parts of the score; `FACTS` only where an item gives facts."""


def whole_texts(gold: str, text: str, mode: Mode) -> Passages:
    """The reference and the answer, each as one passage, for similarity by meaning."""
    answer = plain_text(text) if mode is Mode.STRICT else text
    return Passages([gold], [answer] if answer.strip() else [])


def score_short_answer(item: Item, output: Output, mode: Mode) -> Score:
    """Token F1; right is an exact match. The strict reading takes markup out of the answer first."""
    text = output.text or ""
    answer = plain_text(text) if mode is Mode.STRICT else text
    exact = normalised(answer) == normalised(item.gold)
    parts = {EXACT: float(exact), CHRF: chrf(item.gold, answer) if answer.strip() else 0.0,
             ROUGE_L: rouge_l(item.gold, answer)}  # fmt: skip
    facts = json.loads(item.meta.get(FACTS, "[]"))
    if facts:
        parts[FACTS] = fsum(meets(answer, alternatives) for alternatives in facts) / len(facts)
    return Score(word_f1(item.gold, answer), bool(answer.strip()), exact, normalised(answer) or None, parts)
