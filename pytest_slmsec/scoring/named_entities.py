"""Entities of a note as ``{"entities": [{"type": ..., "text": ...}], "threat": true}``: F1 of the entities, and a flag.

An entity is found only with its type and its whole text, as in the exact match of CoNLL-2003 (Tjong Kim Sang and De
Meulder 2003), but by text instead of place.
"""

from __future__ import annotations

import json

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.leaf_values import multiset_f1
from pytest_slmsec.scoring.report_fields import read_report

ENTITIES, THREAT = "entities", "threat"


def entities_of(answer: object) -> list[str] | None:
    """``type: text`` of each entity, without case and outer blanks; None where there is no list of them. An entry that
    is no entity counts as a wrong one."""
    found = answer.get(ENTITIES) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        return None
    return [_spelled(entry) for entry in found]


def _spelled(entry: object) -> str:
    fields = entry if isinstance(entry, dict) else {"text": entry}
    return " ".join(f"{fields.get('type', '')}: {fields.get('text', '')}".split()).casefold()


def score_entities(item: Item, output: Output, mode: Mode) -> Score:
    """F1 of the entities (1 where there are none and none is named); part ``threat``: whether the flag is right.

    Right as a whole: all entities, no other, and the flag. An answer without a list is unparsed and scores 0.
    """
    gold, answer = json.loads(item.gold), read_report(output.text or "", mode)
    wanted, found = entities_of(gold) or [], entities_of(answer)
    if found is None or not isinstance(answer, dict):
        return Score(0.0, False, False, None, {THREAT: 0.0})
    value = multiset_f1(wanted, found) if wanted or found else 1.0
    flag = answer.get(THREAT) is gold[THREAT]
    said = json.dumps(found, ensure_ascii=False)
    return Score(value, True, flag and value == 1.0, said, {THREAT: float(flag)})
