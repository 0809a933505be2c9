"""Log lines after ALSATE, a seed project that had a small model explain single lines of syslog: severity, refusal of
what is no log, and analysis (cause and remedies). Prompts, items and scorers are our own.

Rows of our own files are JSON lines: ``{id, log, level, valid, family, category, cause: [[alternatives]], steps:
[[alternatives]], forbid: [...], answer}``. Lines of one family ask for the same knowledge, so it is their cluster.
`tasks.syslog_files` reads logs of the user's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.chrf import EXTRA, score_chrf
from pytest_slmsec.scoring.facts import Facts, score_facts
from pytest_slmsec.scoring.log_answers import ANSWERED, REFUSAL, REFUSED, score_log_refusal, score_severity
from pytest_slmsec.scoring.metrics import CHRF, FACTS, LOG_ACCURACY
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer, modal_gold
from pytest_slmsec.tasks.records import Record, read_json_lines
from pytest_slmsec.tasks.syslog_files import LARGEST_PRI, journal_items, rfc5424_items, table_items
from pytest_slmsec.tasks.tsv import find_file, shown

SEVERITY, REFUSALS, ANALYSIS = "syslog/severity.jsonl", "syslog/refusal.jsonl", "syslog/analysis.jsonl"
JOURNAL, RFC5424, TABLE = "syslog/journal.json", "syslog/messages.log", "syslog/table.csv"
ANALYSE = (
    "Analyse this system log: name the cause or threat and the remedies as Cause - ... Remediation - 1. ... 2. ... "
    f"3. ...\nIf it is no system log, answer only: {REFUSAL}\n\n{{log}}"
)
RATE = (
    "Give the syslog severity of this message, 0 to 7: PRI modulo 8, or PRIORITY, or judged by its text. Answer with "
    "the digit only.\n\n{log}"
)
LEVELS = range(8)
REMEDY = "correct the row"


def severity_item(name: str, record: Record) -> Item:
    """A line and its severity."""
    level = record.at("level")
    if not isinstance(level, int) or isinstance(level, bool) or level not in LEVELS:
        record.bad(f"{shown(str(level))} is no severity from 0 to 7", "level")
    _check_pri(record, level)
    return _item(name, record, RATE, str(level))


def _check_pri(record: Record, level: int) -> None:
    """Where a line begins with a PRI, it must be one, and give the severity of the row."""
    found = re.match(r"<(\d+)>", record.text("log"))
    if found is None:
        return
    pri = int(found[1])
    if pri > LARGEST_PRI:
        record.bad(f"PRI is {pri} and at most {LARGEST_PRI} is allowed", "log", remedy=REMEDY)
    if pri % 8 != level:
        record.bad(f"the PRI {pri} of the line says severity {pri % 8}, the row says {level}", "level", remedy=REMEDY)


def refusal_item(name: str, record: Record) -> Item:
    """A line, or a text that is none."""
    valid = record.at("valid")
    if not isinstance(valid, bool):
        record.bad(f"{shown(str(valid))} is not true or false", "valid")
    return _item(name, record, ANALYSE, ANSWERED if valid else REFUSED)


def analysis_item(name: str, record: Record) -> Item:
    """A line with the facts that an answer must name. Its own model answer, where it has one, must name them all."""
    facts = Facts(record.text("log"), _facts(record, "cause"), _facts(record, "steps"),
                  tuple(record.texts("forbid", least=0)))  # fmt: skip
    item = _item(name, record, ANALYSE, facts.as_gold())
    answer = record.value.get("answer")
    if answer is not None and score_facts(item, Output(text=record.text("answer")), Mode.OFFICIAL).value < 1:
        record.bad(f"the row's own answer {shown(str(answer))} does not meet its facts", "answer")
    return item


def _facts(record: Record, key: str) -> tuple[tuple[str, ...], ...]:
    facts = record.at(key)
    if not isinstance(facts, list) or not facts:
        record.bad("a list of facts is needed, each a list of alternatives", key)
    found = []
    for place in range(len(facts)):
        alternatives = record.texts(key, place)
        if not all(text.strip() for text in alternatives):
            record.bad("an alternative is empty", key, place)
        found.append(tuple(alternatives))
    return tuple(found)


def _item(name: str, record: Record, prompt: str, gold: str) -> Item:
    log = record.text("log")
    if "\0" in log:
        record.bad("the text holds a NUL byte, so it is no text", "log")
    known = {key: record.value[key] for key in ("id", "category", "level") if record.value.get(key) is not None}
    cluster = {"cluster": record.value["family"]} if record.value.get("family") else {}
    return Item(f"{name}-{record.number:05d}", prompt.format(log=log), gold, origin=record.origin,
                meta={**known, **cluster})  # fmt: skip


def load_rows(name: str, file: str, read: Callable[[str, Record], Item], root: Path) -> list[Item]:
    """Items of one of our files below `root`; see `tasks.base.Loader`."""
    found = read_json_lines(find_file(root, file, name))
    seen: dict[str, int] = {}
    for record in found:
        own = record.text("id")
        if own in seen:
            record.bad(f"the id {shown(own)} stands in record {seen[own]} as well", "id")
        seen[own] = record.number
    return [read(name, record) for record in found]


def load_file(name: str, file: str, read: Callable[[str, Path], list[Item]], root: Path) -> list[Item]:
    """Items of a log of the user's own below `root`.

    Raises:
        DataError: there are none.
    """
    path = find_file(root, file, name)
    items = read(name, path)
    if not items:
        raise DataError(f"{path} holds no log lines; export them again.")
    return items


def always_refuse(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The fixed sentence for every input."""
    del mode
    right = tuple(float(item.gold == REFUSED) for item in items)
    return ConstantAnswer(REFUSAL, sum(right) / len(right), right)


def commonest_analysis(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """An answer that fits many lines: something failed; look at the log, correct the configuration, restart."""
    text = (
        "Cause - A service or disk of the system failed. Remediation - 1. Check the log and the journal. "
        "2. Correct the configuration or replace the disk. 3. Restart the service and do nothing else."
    )
    scores = tuple(score_facts(item, Output(text=text), mode).value for item in items)
    return ConstantAnswer(text, sum(scores) / len(scores), scores)


def _own(name: str, file: str, read: Callable[[str, Record], Item], n_items: int, **rest: Any) -> Task:
    return Task(name, load=partial(load_rows, name, file, read), files=(file,), n_items=n_items, **rest)


def _by_path(name: str, file: str, read: Callable[[str, Path], list[Item]], **rest: Any) -> Task:
    return Task(name, load=partial(load_file, name, file, read), files=(file,), **rest)


_RATED: dict[str, Any] = {
    "scorer": score_severity, "metric": LOG_ACCURACY, "max_new_tokens": 16, "constant": modal_gold
}  # fmt: skip

KEPT = (REFUSAL, "Cause", "Remediation")
TASKS: tuple[Task, ...] = (
    _own("syslog-severity", SEVERITY, severity_item, 320, **_RATED),
    _own("syslog-refusal", REFUSALS, refusal_item, 320, scorer=score_log_refusal, metric=LOG_ACCURACY,
         max_new_tokens=64, cut_counts=True, constant=always_refuse, kept=KEPT),
    _own("syslog-analysis", ANALYSIS, analysis_item, 240, scorer=score_facts, metric=FACTS, max_new_tokens=256,
         constant=commonest_analysis, kept=KEPT),
    _by_path("syslog-journal", JOURNAL, partial(journal_items, RATE), **_RATED),
    _by_path("syslog-rfc5424", RFC5424, partial(rfc5424_items, RATE), **_RATED),
    _by_path("syslog-table", TABLE, partial(table_items, ANALYSE), scorer=score_chrf, metric=CHRF, max_new_tokens=512,
             needs=("sacrebleu",), extra=EXTRA, kept=KEPT),
)  # fmt: skip
