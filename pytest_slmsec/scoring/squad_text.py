"""Exact match and F1 of short answers, as SQuAD defines them (Rajpurkar et al. 2016 and 2018; official scripts
`evaluate-v1.1.py` and `evaluate-v2.0.py`)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.normalise import ANSWER, plain_text

NO_ANSWER = "unanswerable"
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# "The answer is ", "Answer: " before the words that count.
_LABEL = re.compile(r"(?:the )?(?:final |short |correct )?answer(?: is)?\s?:?\s", re.I)
# "unanswerable", "it is not answerable", "question cannot be answered", "no answer": as `normalised` leaves them.
_NONE = re.compile(
    r"(?:(?:it|this|question) is )?(?:un|not )answerable|(?:(?:it|question) )?cannot be answered|no answer"
)


def normalised(text: str) -> str:
    """A text in lower case, without punctuation and articles, with single blanks."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(gold: str, answer: str) -> float:
    """1 where the normalised texts are equal."""
    return float(normalised(gold) == normalised(answer))


def word_f1(gold: str, answer: str) -> float:
    """F1 of the words of two texts; where one has none, 1 if both have none, else 0."""
    wanted, given = normalised(gold).split(), normalised(answer).split()
    if not wanted or not given:
        return float(wanted == given)
    common = (Counter(wanted) & Counter(given)).total()
    return 2 * common / (len(wanted) + len(given)) if common else 0.0


def read_answer(text: str, mode: Mode) -> str:
    """The words of an answer; "" for what says that there is none. Official: the text as it is; strict: without markup,
    a label ("The answer is") and what follows the first line."""
    if mode is Mode.OFFICIAL:
        said = text.strip()
    else:
        lines = [line for line in plain_text(text).removeprefix(ANSWER).split("\n") if line.strip()]
        said = _LABEL.sub("", lines[0], count=1) if lines and _LABEL.match(lines[0]) else "".join(lines[:1])
    return "" if _NONE.fullmatch(normalised(said)) else said


def score_words(item: Item, output: Output, mode: Mode) -> Score:
    """Exact match against the nearest of the gold answers (`Item.meta` ``answers``, empty: none is right); part ``F1``.

    SQuAD 2 has two more parts, over the questions of their kind: ``EM:answerable`` and ``EM:unanswerable``.
    """
    golds: Sequence[str] = [one for one in item.meta["answers"] if normalised(one)] or [""]
    said = read_answer(output.text or "", mode)
    right = max(exact(gold, said) for gold in golds)
    parts = {"F1": max(word_f1(gold, said) for gold in golds)}
    if item.meta.get("kind"):
        parts[f"EM:{item.meta['kind']}"] = right
    return Score(right, bool((output.text or "").strip()), bool(right), said or NO_ANSWER, parts)
