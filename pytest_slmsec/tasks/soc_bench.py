"""SOC-Bench v0 (Garware 2026; repository `chaitanyagarware/soc-bench`; MIT): 50 log lines with threat, technique and
severity.

The prompt is the record's ``instruction`` and ``input``, with the names of the fields that the scorer looks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.metrics import CLASS_ACCURACY
from pytest_slmsec.scoring.soc_fields import alert_gold, score_alert
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.records import Record, read_json_list
from pytest_slmsec.tasks.tsv import find_file

FILE = "soc-bench/soc_eval.json"
FORM = "Answer with one line each:\nThreat Type: ...\nMITRE Technique ID: ...\nSeverity: ...\nRecommendation: ..."


def make_items(found: Sequence[Record]) -> list[Item]:
    """Items of the published objects `{instruction, input, output}`."""
    return [_item(number, record) for number, record in enumerate(found, 1)]


def _item(number: int, record: Record) -> Item:
    gold = alert_gold(record.text("output"))
    for name in ("threat", "severity"):
        if not gold[name]:
            record.bad(f"it names no {name}", "output")
    return Item(
        id=f"soc-bench-{number:05d}",
        prompt=f"{record.text('instruction')}\n{FORM}\n\nLog: {record.text('input')}",
        gold=gold["threat"],
        origin=record.origin,
        meta={"category": gold["threat"], "severity": gold["severity"], "technique": gold["technique"]},
    )


def load(root: Path) -> list[Item]:
    """Items of the published file; see `tasks.base.Loader`."""
    return make_items(read_json_list(find_file(root, FILE, "soc-bench")))


TASKS: tuple[Task, ...] = (
    Task(
        "soc-bench", score_alert, CLASS_ACCURACY, load=load, files=(FILE,), n_items=50, max_new_tokens=384,
        constant=modal_gold,
    ),
)  # fmt: skip
