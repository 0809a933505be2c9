"""A report in JSON against a schema: F1 of its fields.

The values are the leaves that `scoring.leaf_values` finds, each with the name of the field it stands in, so that a
value in the wrong field is not found. Places in a list do not count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.leaf_values import leaves, multiset_f1
from pytest_slmsec.scoring.structures import Structure, structure_of, structure_within

SCHEMA = "schema"
"""Key of `Item.meta`: the JSON Schema of the report."""
TYPES: dict[str, type | tuple[type, ...]] = {"string": str, "integer": int, "array": list}


def fields_of(report: object) -> list[str]:
    """``field=value`` for each leaf of an object; a value is compared without case and outer blanks."""
    if not isinstance(report, dict):
        return []
    return [f"{name}={str(leaf).strip().casefold()}" for name, value in report.items() for leaf in leaves(value)]


def meets(report: object, schema: Mapping[str, Any]) -> bool:
    """Whether an object meets a flat JSON Schema: every property is there with its type (and one of its ``enum``), and
    no other. The keywords are those of JSON Schema 2020-12; others than these are not read."""
    properties = schema["properties"]
    if not isinstance(report, dict) or set(report) != set(properties):
        return False
    return all(_fits(report[name], rule) for name, rule in properties.items())


def _fits(value: object, rule: Mapping[str, Any]) -> bool:
    if isinstance(value, bool) or not isinstance(value, TYPES[rule["type"]]):
        return False
    if isinstance(value, list):
        return all(_fits(entry, rule["items"]) for entry in value)
    return "enum" not in rule or value in rule["enum"]


def read_report(text: str, mode: Mode) -> Structure | None:
    """The structure that an answer spells. Official: the whole answer is one; strict: words may surround it."""
    return structure_of(text) if mode is Mode.OFFICIAL else structure_within(text)


def score_report(item: Item, output: Output, mode: Mode) -> Score:
    """F1 of the fields; part ``schema``: whether the report meets the schema. No object is unparsed and scores 0.

    Raises:
        KeyError: an item rebuilt from a stored run lacks the schema.
    """
    schema, report = item.meta[SCHEMA], read_report(output.text or "", mode)
    if not isinstance(report, dict):
        return Score(0.0, False, False, None, {SCHEMA: 0.0})
    value = multiset_f1(fields_of(json.loads(item.gold)), fields_of(report))
    valid = meets(report, schema)
    said = json.dumps(report, ensure_ascii=False, default=str)
    return Score(value, True, valid and value == 1.0, said, {SCHEMA: float(valid)})
