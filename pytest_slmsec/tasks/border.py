"""Work of a border post: travel documents, messages, notes, customs and reports. Items, prompts and scorers are ours.

Files of JSON lines below ``border/``; `fixtures/border/make_items.py` writes ours, and others in the same form are read
as well. Gold answers about documents and duties do not stand in the files: they are computed from each row.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.base import Metric, Mode, Scorer
from pytest_slmsec.scoring.exact_number import score_number
from pytest_slmsec.scoring.metrics import ACCURACY, FIELD_F1, MULTILINGUAL
from pytest_slmsec.scoring.named_entities import ENTITIES, THREAT, score_entities
from pytest_slmsec.scoring.report_fields import fields_of, score_report
from pytest_slmsec.scoring.stated_name import score_name
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer, best_of, modal_gold
from pytest_slmsec.tasks.border_post.asked import Asked
from pytest_slmsec.tasks.border_post.customs import customs_question
from pytest_slmsec.tasks.border_post.documents import document_question
from pytest_slmsec.tasks.border_post.messages import entities_question, report_question, triage_question
from pytest_slmsec.tasks.records import Record, read_json_lines
from pytest_slmsec.tasks.tsv import find_file


def load(name: str, file: str, ask: Callable[[Record], Asked], root: Path) -> list[Item]:
    """Items of one file; see `tasks.base.Loader`."""
    found = read_json_lines(find_file(root, file, name))
    return [_item(f"{name}-{number:05d}", row, ask(row)) for number, row in enumerate(found, 1)]


def _item(name: str, row: Record, asked: Asked) -> Item:
    return Item(name, asked.prompt, asked.gold, origin=row.origin, meta=asked.meta)


def no_entities(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """No entity at all, with the flag that is right more often."""
    answers = [json.dumps({ENTITIES: [], THREAT: flag}) for flag in (False, True)]
    return best_of(answers, score_entities, items, mode)


def most_frequent_fields(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The report of the file that shares most fields with all others."""
    fields = [set(fields_of(json.loads(item.gold))) for item in items]
    best = max(range(len(items)), key=lambda place: sum(len(fields[place] & other) for other in fields))
    return best_of([items[best].gold], score_report, items, mode)


def _task(
    kind: str, scorer: Scorer, metric: Metric, ask: Callable[[Record], Asked], n_items: int, limit: int,
    constant: Callable[[Sequence[Item], Mode], ConstantAnswer] = modal_gold,
) -> Task:  # fmt: skip
    name, file = f"border-{kind}", f"border/{kind}.jsonl"
    return Task(name, scorer, metric, load=partial(load, name, file, ask), files=(file,), n_items=n_items,
                max_new_tokens=limit, constant=constant)  # fmt: skip


TASKS: tuple[Task, ...] = (
    _task("document", score_name, ACCURACY, document_question, 320, 64),
    _task("triage", score_name, MULTILINGUAL, triage_question, 320, 32),
    _task("entities", score_entities, FIELD_F1, entities_question, 240, 256, no_entities),
    _task("customs", score_number, ACCURACY, customs_question, 240, 256),
    _task("report", score_report, FIELD_F1, report_question, 160, 320, most_frequent_fields),
)
