"""CyberMetric (Tihanyi et al. 2024, arXiv 2402.07688; repository `cybermetric/CyberMetric`): four sizes of one set.

Prompt and extraction are those of `CyberMetric_evaluator.py`. The set is published on GitHub only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.answer_marker import score_marked_letter
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import READERS, Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.records import Record, read_json_list
from pytest_slmsec.tasks.tsv import find_file, shown

SYSTEM = "You are a security expert who answers questions."
INSTRUCTION = "Choose the correct answer (A, B, C, or D) only. Always return in this format: 'ANSWER: X' "
LETTERS = ("A", "B", "C", "D")
SIZES = (80, 500, 2000, 10000)


def make_items(task: str, records: Sequence[Record]) -> list[Item]:
    """Items of the published objects `{question, answers{A-D}, solution}`."""
    return [
        Item(
            id=f"{task}-{number:05d}",
            prompt=_prompt(record),
            gold=_gold(record),
            system=SYSTEM,
            origin=record.origin,
        )
        for number, record in enumerate(records, 1)
    ]


def _prompt(record: Record) -> str:
    answers = ", ".join(f"{letter}) {record.text('answers', letter)}" for letter in LETTERS)
    return f"Question: {record.text('question')}\nOptions: {answers}\n\n{INSTRUCTION}"


def _gold(record: Record) -> str:
    letter = record.text("solution").strip()
    return letter if letter in LETTERS else record.bad(f"{shown(letter)} is not one of A, B, C, D", "solution")


def _load(task: str, file: str, root: Path) -> list[Item]:
    return make_items(task, read_json_list(find_file(root, file, task), "questions"))


def _task(size: int) -> Task:
    name, file = f"cybermetric-{size}", f"cybermetric/CyberMetric-{size}-v1.json"
    return Task(
        name, score_marked_letter, ACCURACY, load=partial(_load, name, file), files=(file,), n_items=size,
        max_new_tokens=128, constant=modal_gold, version=READERS,
    )  # fmt: skip


TASKS: tuple[Task, ...] = tuple(_task(size) for size in SIZES)
