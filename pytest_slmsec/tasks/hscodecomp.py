"""HSCodeComp (Yang et al. 2025, arXiv 2510.19631; `AIDC-AI/HSCodeComp`, ``data/test_data.jsonl``; Apache-2.0): the
ten-digit tariff code of 632 products of a shop.

Every text field of a record but the code, identifiers and addresses of pictures is part of the prompt. The published
agents may search the web; here a model answers from what it knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.metrics import CODE_ACCURACY
from pytest_slmsec.scoring.tariff_code import DIGITS, code_digits, score_code
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.records import Record, read_json_lines
from pytest_slmsec.tasks.tsv import find_file, shown

FILE = "hscodecomp/test_data.jsonl"
CODE_FIELDS = ("hs_code", "hscode", "hsCode", "HSCode", "ground_truth", "answer")
"""Names that the field of the code may have."""
ASK = (
    "Classify this product under the Harmonized Tariff Schedule. Give the ten-digit code alone on the last line, like "
    "this:\nAnswer: 0901.21.00.10\n\n"
)
# "task_id", "image_url", "picture": fields that say nothing about the product.
_OMITTED = re.compile(r"(?:^|_)(?:id|url|urls|link|images?|pictures?|img)(?:$|_)", re.I)


def make_items(found: Sequence[Record]) -> list[Item]:
    """Items of the published objects."""
    return [_item(number, record) for number, record in enumerate(found, 1)]


def _item(number: int, record: Record) -> Item:
    field = next((name for name in CODE_FIELDS if name in record.value), CODE_FIELDS[0])
    gold = code_digits(str(record.at(field)))
    if len(gold) != DIGITS:
        record.bad(
            f"{shown(str(record.at(field)))} is no code of {DIGITS} digits (a number loses its leading 0)", field
        )
    told = {
        name: value for name, value in record.value.items() if name not in CODE_FIELDS and not _OMITTED.search(name)
    }
    lines = [
        f"{name.replace('_', ' ')}: {_told(value)}" for name, value in told.items() if value not in (None, "", [], {})
    ]
    if not lines:
        record.bad("nothing is told about the product", *list(record.value)[:1])
    return Item(
        f"hscodecomp-{number:05d}", ASK + "\n".join(lines), gold, origin=record.origin, meta={"category": gold[:2]}
    )


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def load(root: Path) -> list[Item]:
    """Items of the published file; see `tasks.base.Loader`."""
    return make_items(read_json_lines(find_file(root, FILE, "hscodecomp")))


TASKS: tuple[Task, ...] = (
    Task("hscodecomp", score_code, CODE_ACCURACY, load=load, files=(FILE,), n_items=632, max_new_tokens=256,
         constant=modal_gold),
)  # fmt: skip
