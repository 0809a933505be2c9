"""LogEval (Cui et al. 2024, arXiv 2407.01896; repository `LinDuoming/LogEval`, `static/dataset.zip`; no licence).

Objects `{instruction, input, output}`, 4000 for anomaly detection, parsing and diagnosis, 200 for summaries, in English
and in Chinese. The prompt is the instruction and the input below it, as the user turn. One input is asked with several
instructions, so the input is the cluster. No scorer was released; both scoring modes are the same.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring import log_template, rouge_l
from pytest_slmsec.scoring.base import Metric, Mode, Scorer
from pytest_slmsec.scoring.metrics import CLASS_ACCURACY, EXACT_TEMPLATE, ROUGE_L
from pytest_slmsec.scoring.named_class import score_class
from pytest_slmsec.scoring.squad_text import word_f1
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer, modal_gold
from pytest_slmsec.tasks.records import Record, records
from pytest_slmsec.tasks.tsv import FRESH_COPY, find_file, shown

FILE = "logeval/dataset.zip"
KINDS = {
    "anomaly": ("anomal", "异常"), "parsing": ("pars", "解析"), "diagnosis": ("diagnos", "fault", "failure", "诊断"),
    "summary": ("summar", "摘要"),
}  # fmt: skip
"""Words in the path of a member of the archive that tell its task."""
LANGUAGES = {
    "en": ("english", "_en", "en_", "-en", "/en", "英文"),
    "zh": ("chinese", "_zh", "zh_", "-zh", "/zh", "_cn", "/cn", "中文"),
}
NORMAL = {"en": ("normal", "abnormal"), "zh": ("正常", "异常")}
LARGEST_MEMBER = 200 * 2**20
"""Bytes that a member may unpack to."""


def members(path: Path, kind: str, language: str) -> list[str]:
    """The members of the archive that hold a task in a language, by the words in their paths.

    Raises:
        DataError: it is no archive, or holds none.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one.filename for one in archive.infolist() if one.filename.endswith((".json", ".jsonl"))]
    except zipfile.BadZipFile as error:
        raise DataError(f"{path}: not a ZIP archive ({error}; cut off?); {FRESH_COPY}.") from error
    found = [name for name in names if _has(name, KINDS[kind]) and _has(name, LANGUAGES[language])]
    if not found:
        held = ", ".join(map(shown, names[:8])) or "no JSON files"
        raise DataError(f"{path} has no member for {kind} in {language!r} (it holds {held}); {FRESH_COPY}.")
    return sorted(found)


def _has(name: str, words: Sequence[str]) -> bool:
    path = f"/{name.lower()}"
    return any(word in path for word in words)


def read_member(path: Path, name: str) -> list[Record]:
    """The records of one member: a JSON list, or JSON lines.

    Raises:
        DataError: names archive, member and line.
    """
    source = f"{path}, {name}"
    try:
        text = _unpacked(path, name).decode("utf-8-sig")
        whole = text.lstrip().startswith("[")
        rows = json.loads(text) if whole else [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError) as error:
        raise DataError(f"{source}: not JSON in UTF-8 ({error}); {FRESH_COPY}.") from error
    return records(source, rows)


def _unpacked(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(name).file_size > LARGEST_MEMBER:
                raise DataError(f"{path}, {name}: unpacks to more than {LARGEST_MEMBER // 2**20} MiB; {FRESH_COPY}.")
            return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, RuntimeError) as error:  # damaged, or encrypted
        raise DataError(f"{path}, {name}: cannot be unpacked ({error}); {FRESH_COPY}.") from error


Finish = Callable[[Sequence[Item], str], list[Item]]


def load(kind: str, language: str, finish: Finish, root: Path) -> list[Item]:
    """Items of one task below `root`; see `tasks.base.Loader`."""
    task = f"logeval-{kind}-{language}"
    path = find_file(root, FILE, task)
    found = [record for name in members(path, kind, language) for record in read_member(path, name)]
    return finish([_item(f"{task}-{number:05d}", record) for number, record in enumerate(found, 1)], language)


def _item(name: str, record: Record) -> Item:
    log = record.text("input", empty=True)
    meta = {"cluster": sha256(log.encode()).hexdigest()[:16]}
    prompt = f"{record.text('instruction')}\n{log}".rstrip("\n")
    origin = f"{Path(FILE).name} {record.origin}"
    return Item(name, prompt, record.text("output").strip(), origin=origin, meta=meta)


def _with(item: Item, meta: Mapping[str, Any]) -> Item:
    return Item(item.id, item.prompt, item.gold, origin=item.origin, meta={**item.meta, **meta})


def _anomalies(items: Sequence[Item], language: str) -> list[Item]:
    """Gold answers are one of two words, apart from case; "abnormal" is looked for."""
    normal, abnormal = NORMAL[language]
    for item in items:
        if item.gold.casefold() not in (normal, abnormal):
            what = f"{shown(item.gold)} is neither {normal!r} nor {abnormal!r}"
            raise DataError(f"{item.origin}, field 'output': {what}; {FRESH_COPY}.")
    extra = {"classes": [normal, abnormal], "positive": abnormal}
    return [
        Item(item.id, item.prompt, item.gold.casefold(), origin=item.origin,
             meta={**item.meta, **extra, "category": item.gold.casefold()})
        for item in items
    ]  # fmt: skip


def _faults(items: Sequence[Item], language: str) -> list[Item]:
    """The classes are the gold answers of the set."""
    classes = sorted({item.gold for item in items})
    return [_with(item, {"classes": classes, "category": item.gold}) for item in items]


def _templates(items: Sequence[Item], language: str) -> list[Item]:
    numbers = {gold: number for number, gold in enumerate(dict.fromkeys(item.gold for item in items))}
    return [_with(item, {log_template.GROUP: numbers[item.gold]}) for item in items]


def _summaries(items: Sequence[Item], language: str) -> list[Item]:
    return list(items)


def score_summary(item: Item, output: Output, mode: Mode, language: str) -> Score:
    """ROUGE-L f of the whole text against the reference; Chinese words are those of jieba."""
    text = (output.text or "").strip()
    gold, said = (rouge_l.words(one) if language == "zh" else one for one in (item.gold, text))
    value = rouge_l.rouge_l(gold, said) if text else 0.0
    return Score(value, bool(text), value >= 0.5)


def best_summary(items: Sequence[Item], mode: Mode, language: str) -> ConstantAnswer:
    """The gold answer that shares most words with all, and its ROUGE-L: a good constant answer, found without comparing
    each pair by ROUGE."""
    spoken = [rouge_l.words(item.gold) if language == "zh" else item.gold for item in items]
    best = max(dict.fromkeys(spoken), key=lambda one: sum(word_f1(one, other) for other in spoken))
    values = tuple(rouge_l.rouge_l(gold, best) for gold in spoken)
    return ConstantAnswer(items[spoken.index(best)].gold, sum(values) / len(values), values)


def _tasks(language: str) -> tuple[Task, ...]:
    common: dict[str, Any] = {"files": (FILE,)}
    classes: dict[str, Any] = {**common, "constant": modal_gold, "n_items": 4000, "max_new_tokens": 64}
    templates: dict[str, Any] = {
        **common, "constant": modal_gold, "n_items": 4000, "max_new_tokens": 256, "needs": ("rapidfuzz",),
        "extra": log_template.EXTRA,
    }  # fmt: skip
    summaries: dict[str, Any] = {
        **common, "constant": partial(best_summary, language=language), "n_items": 200, "max_new_tokens": 256,
        "needs": ("rouge", "jieba") if language == "zh" else ("rouge",), "extra": log_template.EXTRA,
    }  # fmt: skip
    summary = partial(score_summary, language=language)
    kinds: tuple[tuple[str, Scorer, Metric, Finish, dict[str, Any]], ...] = (
        ("anomaly", score_class, CLASS_ACCURACY, _anomalies, classes),
        ("parsing", log_template.score_template, EXACT_TEMPLATE, _templates, templates),
        ("diagnosis", score_class, CLASS_ACCURACY, _faults, classes),
        ("summary", summary, ROUGE_L, _summaries, summaries),
    )
    return tuple(
        Task(f"logeval-{kind}-{language}", scorer, metric, load=partial(load, kind, language, finish), **rest)
        for kind, scorer, metric, finish, rest in kinds
    )


TASKS: tuple[Task, ...] = (*_tasks("en"), *_tasks("zh"))
