"""Extracted information as the values at the leaves of a JSON structure, as SEvenLLM-Bench scores it (Ji et al. 2024,
arXiv 2405.03446; upstream repository `CSJianYang/SEevenLLM`).

Version 2 (2026, `code/score/f1_rougel/ex-score*.py`): F1 of the two multisets of values; keys do not count, and a value
is found only if it is the same text. Version 1 (2024, `code/score/get_score_thefuzz.py`): the share of the reference's
values that some answered value resembles with a partial ratio of at least 60.

Upstream scores files in which answers are JSON already; how texts became JSON was not released. Here a text that as a
whole is JSON, or the Python literal that the published training data teaches, is read as such (`structures`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from pytest_slmsec.core.errors import MissingExtraError
from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.rouge_l import EXTRA, HIT_RATE
from pytest_slmsec.scoring.structures import Structure, structure_of, structure_within

ALIKE_FROM = 60
NOTHING = "NULL"


def leaves(structure: object) -> list[Any]:
    """The values at the leaves, in order; a value that holds no others is its own leaf."""
    return list(_leaves(structure))


def _leaves(structure: object) -> Iterator[Any]:
    waiting = [structure]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(reversed(list(value.values())))
        elif isinstance(value, (list, tuple)):
            waiting.extend(reversed(value))
        elif isinstance(value, (set, frozenset)):
            waiting.extend(sorted(value, key=str, reverse=True))
        else:
            yield value


def values_v2(structure: object) -> list[str]:
    """The values that version 2 counts. Nothing at all (``{}``, an empty text) is one empty value."""
    return [str(leaf) for leaf in leaves(structure)] if structure else [""]


def multiset_f1(gold: Sequence[str], found: Sequence[str]) -> float:
    """F1 of two multisets of texts, with the arithmetic of upstream."""
    shared = (Counter(gold) & Counter(found)).total()
    precision = shared / len(found) if found else 0.0
    recall = shared / len(gold) if gold else 0.0
    return 2 * precision * recall / (precision + recall) if shared else 0.0


def hit_rate(gold: Structure | str, answer: Structure | str) -> float:
    """Version 1, a share of 1, with its defects: a text is compared letter by letter, and nothing at all is the text
    ``NULL``."""
    wanted, given = _values_v1(gold), _values_v1(answer)
    if not given:
        return 0.0
    if isinstance(wanted, str):
        return float(_alike(wanted, str(given)) if len(wanted) > 1 else wanted in given)
    hits = [
        any(_alike(value, str(other)) for other in given) if len(value) > 1 else value in given
        for value in map(str, wanted)
    ]
    return sum(hits) / len(hits) if hits else 0.0


def _values_v1(structure: Structure | str) -> list[Any] | str:
    if not structure:
        return NOTHING
    return structure if isinstance(structure, str) else leaves(structure)


def _alike(value: str, other: str) -> bool:
    try:
        from thefuzz import fuzz
    except ImportError as error:
        raise MissingExtraError("Scoring SEvenLLM-Bench", "thefuzz", EXTRA) from error
    return bool(fuzz.partial_ratio(value, other) >= ALIKE_FROM)


def read_answer(text: str, mode: Mode) -> Structure | str:
    """The structure; of a text that spells none, official mode keeps the text and strict mode nothing."""
    if mode is Mode.OFFICIAL:
        found = structure_of(text)
        return text if found is None else found
    found = structure_within(text)
    return "" if found is None else found


def score_values(item: Item, output: Output, mode: Mode) -> Score:
    """F1 of version 2 against the gold structure, a JSON text; part ``hit_rate_v1`` is version 1.

    An answer without an object or list is unparsed: strict mode gives it 0 in both versions, official mode what
    upstream gives a text in the place of a structure.
    """
    gold, answer = json.loads(item.gold), read_answer(output.text or "", mode)
    parsed = not isinstance(answer, str)
    if not parsed and mode is Mode.STRICT:
        return Score(0.0, False, False, None, {HIT_RATE: 0.0})
    found = values_v2(answer)
    value = multiset_f1(values_v2(gold), found)
    extracted = json.dumps(found, ensure_ascii=False) if parsed else None
    return Score(value, parsed, value == 1.0, extracted, {HIT_RATE: hit_rate(gold, answer)})
