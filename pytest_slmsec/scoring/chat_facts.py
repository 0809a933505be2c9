"""Recall of hand-written key facts in a free answer; the wordings of a fact are met as `scoring.facts.meets` says."""

from __future__ import annotations

import json
import re
from math import fsum

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.chrf import chrf
from pytest_slmsec.scoring.facts import meets
from pytest_slmsec.scoring.metrics import SHARE
from pytest_slmsec.scoring.normalise import both_ends, plain_text

FACTS, FORBID, HISTORY = "facts", "forbid", "history"
"""Keys of the gold answer: facts, each a list of wordings; wordings that make an answer wrong. `HISTORY` is a key of
`Item.meta`: the question can only be answered from an earlier turn."""

# The end of a sentence or line.
_BREAK = re.compile(r"(?<=[.!?])\s+|\n+")


def sentences(text: str, mode: Mode) -> list[str]:
    """The sentences of an answer; strict mode reads it without markup."""
    shown = plain_text(text) if mode is Mode.STRICT else both_ends(text)
    return [part for part in _BREAK.split(shown) if part.strip()]


def score_chat_facts(item: Item, output: Output, mode: Mode) -> Score:
    """Share of the facts that some sentence meets; right: all of them, and nothing forbidden. Nothing said is unparsed.

    A forbidden wording makes the answer wrong and leaves the recall as it is.
    """
    gold = json.loads(item.gold)
    said = sentences(output.text or "", mode)
    met = [any(meets(sentence, fact) for sentence in said) for fact in gold[FACTS]]
    forbidden = any(meets(sentence, gold[FORBID]) for sentence in said)
    right = all(met) and not forbidden
    parts = {"complete": float(right), "forbidden": float(forbidden)}
    if item.meta.get(HISTORY):
        parts[f"{SHARE}{HISTORY}"] = float(right)
    return Score(fsum(met) / len(met), bool(said), right, None, parts)


def score_reference(item: Item, output: Output, mode: Mode) -> Score:
    """chrF against the published answer. Every answer that says something counts as right: chrF has no threshold."""
    del mode
    text = output.text or ""
    said = bool(text.strip())
    return Score(chrf(item.gold, text) if said else 0.0, said, said)
