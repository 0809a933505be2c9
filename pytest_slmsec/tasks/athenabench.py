"""AthenaBench mini (Alam et al. 2025, arXiv 2511.01144; repository `Athena-Software-Group/athenabench`, folder
``benchmark-mini``; Athena academic research licence, non-commercial).

Six sets of questions on threat intelligence, 950 items. The prompt is the field ``prompt`` verbatim as the user turn,
without a system turn. Attribution needs the alias graph of CTIBench as well: the authors' alias list was not released.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.actor_graph import ActorGraph
from pytest_slmsec.scoring.athena import (
    main_technique,
    score_athena_actor,
    score_athena_cwe,
    score_athena_letter,
    score_athena_mitigations,
    score_athena_technique,
    score_athena_vector,
)
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.cvss import base_score
from pytest_slmsec.scoring.error_text import error_text
from pytest_slmsec.scoring.metrics import ACCURACY_OF_ALL, ALIAS_ACCURACY, CVSS_ACCURACY, MEAN_F1
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import (
    ConstantAnswer,
    best_actor,
    best_mitigation_set,
    best_vector_accuracy,
    modal,
    modal_gold,
)
from pytest_slmsec.tasks.ctibench import ALIASES, RELATED, read_graph
from pytest_slmsec.tasks.records import Record, read_json_lines
from pytest_slmsec.tasks.tsv import find_file, shown

FOLDER = "athenabench/benchmark-mini/athena-cti-"
LATER = {"mcq": "ckt-3k"}
"""Ends of file names in later releases."""
IDS = r"\s*M\d{4}(\s*,\s*M\d{4})*\s*"

Category = Callable[[Record], str]


def file_of(kind: str) -> str:
    """The published file of a task: ``athenabench/benchmark-mini/athena-cti-ate.jsonl``."""
    return f"{FOLDER}{'mcq-3k' if kind == 'mcq' else kind}.jsonl"


def load(kind: str, valid: Callable[[str], bool], expected: str, category: Category, root: Path) -> list[Item]:
    """Items of one published file below `root`; see `tasks.base.Loader`.

    Args:
        kind: end of the task's name. valid: whether a text is a gold answer. expected: what it should be, for messages.
        category: the group that a record belongs to.
    """
    task = f"athena-{kind}"
    found = read_json_lines(_file(kind, root, task))
    return [_item(f"{task}-{record.number:05d}", record, valid, expected, category) for record in found]


def _file(kind: str, root: Path, task: str) -> Path:
    """The published file; that of the multiple choice has another name in later releases."""
    try:
        return find_file(root, file_of(kind), task)
    except DataUnavailable as missing:
        if kind not in LATER:
            raise
        try:
            return find_file(root, f"{FOLDER}{LATER[kind]}.jsonl", task)
        except DataUnavailable:
            raise missing from None


def _item(name: str, record: Record, valid: Callable[[str], bool], expected: str, category: Category) -> Item:
    gold = record.text("answer").strip()
    if not valid(gold):
        record.bad(f"{shown(gold)} is not {expected}", "answer")
    return Item(name, record.text("prompt"), gold, origin=record.origin, meta={"category": category(record)})


def load_actors(root: Path) -> list[Item]:
    """Items of attribution; `meta` gets the names that count, see `scoring.threat_actor.score_actor`."""
    items = load("taa", bool, "the name of an actor", _no_category, root)
    alias, related = (read_graph(find_file(root, file, "athena-taa")) for file in (ALIASES, RELATED))
    graph = ActorGraph(alias, related, drop_nan=True)
    known = sorted(graph.names)
    return [_with_names(item, graph, known) for item in items]


def _with_names(item: Item, graph: ActorGraph, known: list[str]) -> Item:
    names = {key: sorted(group) for key, group in graph.groups(item.gold)._asdict().items()}
    meta: Mapping[str, Any] = {"known": known} | {mode.value: names for mode in Mode}
    return Item(item.id, item.prompt, item.gold, origin=item.origin, meta=meta)


def _no_category(record: Record) -> str:
    return ""


def _text(field: str) -> Category:
    return lambda record: record.text(field)


def _severity(record: Record) -> str:
    return record.text("severity").lower()


def _technique(record: Record) -> str:
    return main_technique(record.text("technique_id"))


def no_error(item: Item, output: Output) -> str | None:
    """Why an answer is none: the harness wrote the text of an error in its place."""
    found = error_text(output.text or "")
    return None if found is None else f"{item.id}: the answer is the text of an error and no answer: {shown(found)}."


def best_main_technique(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The most frequent main technique and its accuracy."""
    del mode
    return modal([main_technique(item.gold) for item in items])


def _task(kind: str, valid: Callable[[str], bool], expected: str, category: Category, **rest: Any) -> Task:
    return Task(
        f"athena-{kind}",
        load=partial(load, kind, valid, expected, category),
        files=(file_of(kind),),
        fault=no_error,
        **rest,
    )


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda gold: re.fullmatch(pattern, gold) is not None


TASKS: tuple[Task, ...] = (
    _task(
        "mcq", _matches("[A-E]"), "one of the options A, B, C, D, E", _text("source_type"), scorer=score_athena_letter,
        metric=ACCURACY_OF_ALL, constant=modal_gold, n_items=300, max_new_tokens=512,
    ),
    _task(
        "ate", _matches(r"T\d{4}(\.\d{3})?"), "a technique id such as T1059 or T1059.001", _technique,
        scorer=score_athena_technique, metric=ACCURACY_OF_ALL, constant=best_main_technique, n_items=100,
        max_new_tokens=512,
    ),
    _task(
        "rcm", _matches(r"CWE-\d+"), "a weakness id such as CWE-79", _text("answer"), scorer=score_athena_cwe,
        metric=ACCURACY_OF_ALL, constant=modal_gold, n_items=200, max_new_tokens=512,
    ),
    _task(
        "rms", _matches(IDS), "a list of mitigation ids such as M1038, M1040", _technique,
        scorer=score_athena_mitigations, metric=MEAN_F1, constant=best_mitigation_set, n_items=100, max_new_tokens=512,
    ),
    _task(
        "vsp", lambda gold: base_score(gold) is not None, "a CVSS v3 vector with its prefix", _severity,
        scorer=score_athena_vector, metric=CVSS_ACCURACY, constant=best_vector_accuracy, n_items=200,
        max_new_tokens=1024,
    ),
    Task(
        "athena-taa", score_athena_actor, ALIAS_ACCURACY, load=load_actors, files=(file_of("taa"), ALIASES, RELATED),
        fault=no_error, constant=best_actor, n_items=50, max_new_tokens=512,
    ),
)  # fmt: skip
