"""Questions about travel documents: a field, check digits, the machine-readable against the visual zone, and expiry."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from pytest_slmsec.scoring.stated_name import NAMES, SHARES
from pytest_slmsec.tasks.border_post import zone as documents
from pytest_slmsec.tasks.border_post.asked import REMEDY, Asked, one_of
from pytest_slmsec.tasks.records import Record
from pytest_slmsec.tasks.tsv import shown

NONE, YES, NO = "none", "yes", "no"
DIGIT_RULE = (
    "A check digit is the sum of all characters of its field, weighted 7, 3, 1 in turn from the left, modulo 10. "
    "Digits count as they are, A to Z count 10 to 35, and < counts 0. The composite check digit covers several fields, "
    "so it fails with them."
)


def document_question(row: Record) -> Asked:
    """A row `{kind, question, zone, today, ...}`: one of four questions about a machine-readable zone."""
    kind = one_of(row, "kind", tuple(documents.LAYOUTS))
    question = one_of(row, "question", tuple(QUESTIONS))
    zone = row.texts("zone")
    if trouble := documents.trouble_with(zone, kind):
        row.bad(trouble, "zone", remedy=REMEDY)
    asked = QUESTIONS[question](row, zone, kind)
    title = documents.LAYOUTS[kind].title
    shown_zone = "\n".join(zone)
    prompt = f"Machine-readable zone of {title}, after ICAO Doc 9303:\n{shown_zone}\n\n{asked.prompt}"
    facts = {"category": f"{kind} {question}", SHARES: [kind, question]}
    return Asked(prompt, asked.gold, {**asked.meta, **facts})


def _read_field(row: Record, zone: list[str], kind: str) -> Asked:
    values = _values(row, zone, kind)
    name = one_of(row, "field", tuple(values))
    form = " as YYYY-MM-DD" if name in (documents.BIRTH, documents.EXPIRY) else ""
    return Asked(f"What is the {name}{form}? Today is {row.text('today')}. Answer with the value only.", values[name],
                 {NAMES: []})  # fmt: skip


def _check_digit(row: Record, zone: list[str], kind: str) -> Asked:
    names = [*documents.LAYOUTS[kind].digits, documents.COMPOSITE, NONE]
    failing = documents.failing_digits(zone, kind) or [NONE]
    damage = row.text("damage", empty=True) or NONE
    if failing != [damage]:
        row.bad(f"the row says {damage!r} and the check digits show {', '.join(failing)}: damage that no check digit "
                "sees has no answer", "damage", remedy=REMEDY)  # fmt: skip
    ask = (f"Which check digit fails? {DIGIT_RULE} Name the field whose own check digit fails, composite only if no "
           f"other fails, or none. Answer with one of: {', '.join(names)}.")  # fmt: skip
    return Asked(ask, damage, {NAMES: names})


def _visual_zone(row: Record, zone: list[str], kind: str) -> Asked:
    values = _values(row, zone, kind)
    visual = {name: row.text("visual", name) for name in values}
    differing = [name for name in values if visual[name] != values[name]]
    if len(differing) > 1 or documents.failing_digits(zone, kind):
        row.bad("the zone must be intact and differ from the visual zone in one field at most; it differs in "
                f"{', '.join(differing) or 'none'}", "visual", remedy=REMEDY)  # fmt: skip
    names = [*values, NONE]
    listed = "\n".join(f"{name}: {value}" for name, value in visual.items())
    ask = (f"Printed on the document:\n{listed}\n\nIn which field do the two disagree? Answer with one of: "
           f"{', '.join(names)}.")  # fmt: skip
    return Asked(ask, differing[0] if differing else NONE, {NAMES: names})


def _expiry(row: Record, zone: list[str], kind: str) -> Asked:
    expired = _values(row, zone, kind)[documents.EXPIRY] < _today(row).isoformat()
    return Asked(f"Today is {row.text('today')}. Has the document expired? Answer with yes or no.",
                 YES if expired else NO, {NAMES: [YES, NO]})  # fmt: skip


QUESTIONS: dict[str, Callable[[Record, list[str], str], Asked]] = {
    "field": _read_field,
    "check digit": _check_digit,
    "visual zone": _visual_zone,
    "expiry": _expiry,
}


def _values(row: Record, zone: list[str], kind: str) -> dict[str, str]:
    try:
        return documents.values_of(zone, kind, _today(row))
    except ValueError as error:
        row.bad(f"it holds a date that the calendar does not have ({error})", "zone", remedy=REMEDY)


def _today(row: Record) -> date:
    try:
        return date.fromisoformat(row.text("today"))
    except ValueError:
        row.bad(f"{shown(row.text('today'))} is no date such as 2031-05-04", "today", remedy=REMEDY)
