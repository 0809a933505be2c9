"""Questions about texts: what a message wants, which entities a note names, and an incident as a report."""

from __future__ import annotations

import json
from typing import Any

from pytest_slmsec.scoring.named_entities import ENTITIES, THREAT
from pytest_slmsec.scoring.report_fields import SCHEMA, meets
from pytest_slmsec.scoring.stated_name import NAMES, SHARES
from pytest_slmsec.tasks.border_post.asked import REMEDY, Asked, one_of
from pytest_slmsec.tasks.records import Record
from pytest_slmsec.tasks.tsv import shown

LANGUAGES = {"en": "English", "es": "Spanish", "fr": "French", "ar": "Arabic", "zh": "Chinese"}
INTENTS = {
    "visa": "asks about permits or the length of a stay",
    "customs": "asks about goods, money or taxes at the border",
    "document": "the writer's own papers are lost, stolen, damaged, expired or do not match",
    "asylum": "asks for protection",
    "medical": "somebody is ill or hurt and needs help now",
    "tip": "reports that others break the law",
    "complaint": "objects to how the post treated people",
    "travel": "asks for the way, opening hours, lanes or transport",
}
ENTITY_TYPES = ("person", "document", "vehicle", "place", "goods")
REPORT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "event": {"type": "string", "enum": ["smuggling", "forged_document", "refused_entry", "undeclared_cash"]},
        "date": {"type": "string", "format": "date"},
        "time": {"type": "string", "description": "HH:MM"},
        "crossing": {"type": "string"},
        "lane": {"type": "integer"},
        "travellers": {"type": "integer"},
        "vehicle": {"type": "string", "enum": ["van", "lorry", "car", "bus"]},
        "goods": {"type": "array", "items": {"type": "string"}},
        "action": {"type": "string", "enum": ["seized", "released", "arrested", "fined"]},
    },
    "additionalProperties": False,
}


def triage_question(row: Record) -> Asked:
    """A row `{situation, language, intent, text}`."""
    language, intent = one_of(row, "language", tuple(LANGUAGES)), one_of(row, "intent", tuple(INTENTS))
    listed = "\n".join(f"{name}: {what}" for name, what in INTENTS.items())
    prompt = (f"The help desk of a border post sorts messages by what the writer wants:\n{listed}\n\nMessage:\n"
              f"{row.text('text')}\n\nAnswer with one of: {', '.join(INTENTS)}.")  # fmt: skip
    named = LANGUAGES[language]
    facts = {"cluster": row.text("situation"), "category": named, SHARES: [f"language={named}"]}
    return Asked(prompt, intent, {NAMES: list(INTENTS), **facts})


def entities_question(row: Record) -> Asked:
    """A row `{template, text, entities: [{type, text}], threat}`."""
    text, found, threat = row.text("text"), row.at("entities"), row.at("threat")
    if not isinstance(threat, bool):
        row.bad(f"{shown(str(threat))} is neither true nor false", "threat", remedy=REMEDY)
    if not isinstance(found, list):
        row.bad(f"{shown(str(found))} is no list", "entities", remedy=REMEDY)
    for place in range(len(found)):
        if row.text("entities", place, "type") not in ENTITY_TYPES:
            row.bad(f"it is none of {', '.join(ENTITY_TYPES)}", "entities", place, "type", remedy=REMEDY)
        if row.text("entities", place, "text").casefold() not in text.casefold():
            row.bad("it does not stand in the text", "entities", place, "text", remedy=REMEDY)
    prompt = (f"Note of a border guard:\n{text}\n\nList every named {', '.join(ENTITY_TYPES[:-1])} and all goods, each "
              "with its text as it stands in the note, and say whether the note tells of a threat or a crime. Times "
              f"and numbers alone are none of them. Types: {', '.join(ENTITY_TYPES)}. Answer with JSON only: "
              '{"entities": [{"type": "...", "text": "..."}], "threat": true or false}')  # fmt: skip
    gold = json.dumps({ENTITIES: found, THREAT: threat}, ensure_ascii=False)
    return Asked(prompt, gold, {"cluster": row.text("template"), "category": "entities" if found else "none"})


def report_question(row: Record) -> Asked:
    """A row `{wording, text, report}`; the report meets the schema `REPORT`."""
    report = row.at("report")
    if not meets(report, REPORT):
        row.bad(
            "it does not meet the schema of the benchmark (names, types and listed values)", "report", remedy=REMEDY
        )
    schema = json.dumps({**REPORT, "required": list(REPORT["properties"])})
    prompt = (f"{row.text('text')}\n\nWrite this as a JSON object that meets the JSON Schema\n{schema}\n"
              "Take values from the text. Answer with JSON only.")  # fmt: skip
    return Asked(prompt, json.dumps(report, ensure_ascii=False),
                 {SCHEMA: REPORT, "cluster": row.text("wording"), "category": report["event"]})  # fmt: skip
