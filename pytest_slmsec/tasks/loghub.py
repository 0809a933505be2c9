"""Loghub (Zhu et al. 2023, arXiv 2008.06448; repository `logpai/loghub`; for research, with citation): log lines with
templates (``NAME_2k.log_structured.csv``), some of them with a label of anomalies.

`log-anomaly` asks of every file with a column ``Label`` (``-`` is normal) whether a line is a sign of an anomaly; the
line is all its columns but number, label and template. `log-parsing` asks for the template of ``Content``. Every file
below the data folder counts. Lines of one template are a cluster.

In BGL_2k all anomalies come from 15 templates that no normal line shares, so that the word FATAL alone finds all of
them (recall 100 %, F1 58.4): a high recall there is no understanding. The column ``Level`` of Linux_2k is the host's
name, so no severity can be taken from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.log_template import EXTRA, GROUP, score_template
from pytest_slmsec.scoring.metrics import CLASS_ACCURACY, EXACT_TEMPLATE
from pytest_slmsec.scoring.named_class import score_class
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.records import Record, read_csv
from pytest_slmsec.tasks.tsv import FRESH_COPY

FOLDER, ENDING = "loghub", "_structured.csv"
NORMAL, ABNORMAL = "normal", "abnormal"
NORMAL_LABELS = ("-", "0", "normal", "false", "benign")
"""Labels of normal lines: of loghub, and of tables made from it. Every other label is an anomaly."""
HIDDEN = ("LineId", "Label", "EventId", "EventTemplate")
"""Columns that are no part of the log line."""
COLUMNS = ("LineId", "Content", "EventId", "EventTemplate")
ANOMALY_ASK = (
    "Decide whether this line of a system log is a sign of a failure or an attack. Answer with one word, normal or "
    "abnormal.\n\nLog: "
)
PARSING_ASK = (
    "Write the template of this log message: the message with <*> in the place of each variable part, such as a "
    "number, an address, a path or a name. Answer with the template alone.\n\nLog: "
)


def tables(task: str, root: Path) -> list[Path]:
    """Every structured file in the folder ``loghub`` below `root`, or else in `root` itself, by name.

    Raises:
        DataUnavailable: there is none.
    """
    folder = root / FOLDER if (root / FOLDER).is_dir() else root
    found = sorted(folder.rglob(f"*{ENDING}"))
    if not found:
        raise DataUnavailable(
            f"{task}: there is no file *{ENDING} below {folder}; put files of loghub there, or name the folder that "
            "holds them with --slmsec-data=DIR or the variable SLMSEC_DATA."
        )
    return found


def _rows(path: Path) -> list[Record]:
    return read_csv(path, COLUMNS)


def _name(task: str, path: Path, record: Record) -> str:
    return f"{task}-{path.name.removesuffix(ENDING).removesuffix('.log')}-{record.number:05d}"


def anomalies(root: Path) -> list[Item]:
    """Items of `log-anomaly`.

    Raises:
        DataUnavailable: no file has labels. DataError: a file holds lines of one class only.
    """
    task = "log-anomaly"
    labelled = [(path, rows) for path in tables(task, root) for rows in [_rows(path)] if "Label" in rows[0].value]
    if not labelled:
        raise DataUnavailable(
            f"{task}: no file *{ENDING} below {root} has a column 'Label'; BGL and Thunderbird have one."
        )
    return [item for path, rows in labelled for item in _both_classes(path, [_labelled(task, path, r) for r in rows])]


def _labelled(task: str, path: Path, record: Record) -> Item:
    gold = NORMAL if record.text("Label").strip().casefold() in NORMAL_LABELS else ABNORMAL
    line = " ".join(str(value) for column, value in record.value.items() if column not in HIDDEN and value)
    meta = {
        "classes": [NORMAL, ABNORMAL], "positive": ABNORMAL, "category": gold,
        "cluster": f"{path.name}:{record.text('EventId')}",
    }  # fmt: skip
    return Item(_name(task, path, record), ANOMALY_ASK + line, gold, origin=record.origin, meta=meta)


def _both_classes(path: Path, items: list[Item]) -> list[Item]:
    golds = {item.gold for item in items}
    if len(golds) == 1:
        raise DataError(
            f"{path}: all {len(items)} lines are {golds.pop()}, so nothing can be told apart; {FRESH_COPY}."
        )
    return items


def templates(root: Path) -> list[Item]:
    """Items of `log-parsing`; raises as `tables`."""
    task = "log-parsing"
    items = [_template(task, path, record) for path in tables(task, root) for record in _rows(path)]
    return _grouped(items)


def _template(task: str, path: Path, record: Record) -> Item:
    cluster = f"{path.name}:{record.text('EventId')}"
    meta = {"category": path.name.removesuffix(ENDING).removesuffix(".log"), "cluster": cluster}
    return Item(_name(task, path, record), PARSING_ASK + record.text("Content"), record.text("EventTemplate"),
                origin=record.origin, meta=meta)  # fmt: skip


def _grouped(items: Sequence[Item]) -> list[Item]:
    """With the number of each gold template: equal templates of several files are one group."""
    numbers = {gold: number for number, gold in enumerate(dict.fromkeys(item.gold for item in items))}
    return [
        Item(item.id, item.prompt, item.gold, origin=item.origin, meta={**item.meta, GROUP: numbers[item.gold]})
        for item in items
    ]


TASKS: tuple[Task, ...] = (
    Task(
        "log-anomaly", score_class, CLASS_ACCURACY, load=anomalies, files=(f"{FOLDER}/*{ENDING}",), max_new_tokens=32,
        constant=modal_gold,
    ),
    Task(
        "log-parsing", score_template, EXACT_TEMPLATE, load=templates, files=(f"{FOLDER}/*{ENDING}",),
        max_new_tokens=256, constant=modal_gold, needs=("rapidfuzz",), extra=EXTRA,
    ),
)  # fmt: skip
