"""Semantic similarity of an answer to its reference, as SEvenLLM-Bench measures it beside ROUGE-L and F1 (Ji et al.
2024, arXiv 2405.03446; upstream `code/score/sbert`, 2026): for each passage of the reference the highest cosine of any
passage of the answer, averaged. The authors' model is `paraphrase-multilingual-MiniLM-L12-v2`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import fsum
from typing import Any, NamedTuple

from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.leaf_values import read_answer, values_v2
from pytest_slmsec.scoring.rouge_l import Language, sentences

Vectors = Mapping[str, Any]
"""A vector of length 1 (a numpy array) for each passage."""


class Passages(NamedTuple):
    """What is compared.

    Attributes:
        wanted, given: of the reference and of the answer.
        letters_exact: a wanted passage of one character scores 1 where the answer has the same passage, else 0; it is
            not embedded.
    """

    wanted: list[str]
    given: list[str]
    letters_exact: bool = False


def text_passages(gold: str, text: str, mode: Mode, language: Language) -> Passages:
    """The sentences of two texts."""
    del mode
    return Passages(sentences(gold, language), sentences(text, language))


def value_passages(gold: str, text: str, mode: Mode) -> Passages:
    """The values of the gold structure, a JSON text, and of the answered one. An empty structure is one empty value,
    which only an empty structure meets."""
    answer = read_answer(text, mode)
    nothing = [] if isinstance(answer, str) else [""]
    given = [value for value in values_v2(answer) if value] if answer else nothing
    return Passages(values_v2(json.loads(gold)), given, True)


def mean_best_cosine(passages: Passages, vectors: Vectors) -> float:
    """Mean over the wanted passages of the highest cosine of any given one; 0 for those of an empty answer."""
    found = [_best(one, passages, vectors) for one in passages.wanted]
    return fsum(found) / len(found) if found else 0.0


def _best(wanted: str, passages: Passages, vectors: Vectors) -> float:
    if passages.letters_exact and len(wanted) < 2:
        return float(wanted in passages.given)
    return max((float(vectors[wanted] @ vectors[other]) for other in passages.given), default=0.0)
