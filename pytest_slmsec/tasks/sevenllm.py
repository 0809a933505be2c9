"""SEvenLLM-Bench (Ji et al. 2024, arXiv 2405.03446; repository `CSJianYang/SEevenLLM`; hub
`Multilingual-Multimodal-NLP/SEVENLLM-Dataset`): analysis of security events in English and Chinese.

One published file holds six parts: multiple choice, generation and extraction, each in both languages. Upstream
inference (`infer.py`): the Alpaca prompt as the whole text, without a system turn, greedy, at most 2000 new tokens; an
instruction that is a dict stands in it as Python writes it. Some models were asked with the same text as the user turn
of their own chat template: the option ``--slmsec-prompt=chat`` does so.

The default limits of new tokens leave room for twice a usual reference answer.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from math import fsum
from pathlib import Path
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Metric, Mode, Scorer
from pytest_slmsec.scoring.leaf_values import score_values, values_v2
from pytest_slmsec.scoring.metrics import ACCURACY_V2, F1_V2, ROUGE_L_V2, ROUGE_L_V2_ZH
from pytest_slmsec.scoring.rouge_l import EXTRA, Language, score_text
from pytest_slmsec.scoring.similarity import text_passages, value_passages
from pytest_slmsec.scoring.single_letter import LETTERS, score_choice
from pytest_slmsec.scoring.structures import structure_of
from pytest_slmsec.tasks.base import HubSource, Task
from pytest_slmsec.tasks.baselines import ConstantAnswer, modal_gold
from pytest_slmsec.tasks.records import Record, read_json_lines, records
from pytest_slmsec.tasks.tsv import find_file, shown

FILE = "sevenllm/test_all.jsonl"
# A single file of a data set is one split, which the library calls so.
HUB = HubSource(
    "Multilingual-Multimodal-NLP/SEVENLLM-Dataset",
    None,
    "train",
    "1de23ce55cadc984d3f3a7b52c4035a68c6cd5b0",
    data_files="test.jsonl",
)
OFFICIAL_MAX_NEW_TOKENS = 2000
ALPACA = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
)
PUBLISHED_IDS = {
    "zh-ex": range(1, 301),
    "zh-gen": range(301, 601),
    "en-ex": range(601, 901),
    "en-gen": range(901, 1201),
    "en-choice": range(1201, 1251),
    "zh-choice": range(1251, 1301),
}
COMMONPLACE: Mapping[Language, str] = {
    "en": (
        "The attackers exploit a vulnerability to gain access to the systems of the organization. The impact is the "
        "theft of sensitive data. Organizations should update their software and monitor their networks."
    ),
    "zh": ("攻击者利用该漏洞获取目标系统的访问权限。该事件可能导致敏感信息泄露。建议用户及时更新系统并加强监控。"),
}
"""A constant answer in the field's vocabulary that fits every event: its ROUGE-L is the baseline of the text parts."""


class Asked(NamedTuple):
    """What one row asks: its instruction as it stands in the prompt, the gold answer in the scorer's form, and further
    columns for `Item.meta`."""

    instruction: str
    gold: str
    meta: Mapping[str, Any] = {}


def part_of(record: Record) -> str:
    """Which part a row belongs to: by its field `task` (``test-en-gen``), or where that is missing by its published id.

    Raises:
        DataError: the field names no part, or the id lies outside the published ones.
    """
    task = record.value.get("task")
    if task is not None:
        found = next((part for part in PUBLISHED_IDS if isinstance(task, str) and task.endswith(f"-{part}")), None)
        return found or record.bad(f"{shown(str(task))} is none of test-{', test-'.join(PUBLISHED_IDS)}", "task")
    number = record.value.get("id", record.number)
    found = next((part for part, ids in PUBLISHED_IDS.items() if number in ids), None)
    return found or record.bad(f"{shown(str(number))} is no published id (1 to 1300), and there is no 'task'", "id")


def read_rows(name: str, part: str, rows: Iterable[object], source: Path | str | None = None) -> list[Item]:
    """Items of one part, from rows as in the published file or on the hub, where structures are spelled as texts.

    Raises:
        DataError: a field that is missing or of another form. DataUnavailable: there are no rows of this part.
    """
    found = [record for record in records(source or f"{name} rows", rows) if part_of(record) == part]
    if not found:
        raise DataUnavailable(f"{name}: {source or 'the data set'} holds no rows of the part {part!r}.")
    return [_item(f"{name}-{number:05d}", part, record) for number, record in enumerate(found, 1)]


def _item(item_id: str, part: str, record: Record) -> Item:
    asked = READERS[part.partition("-")[2]](record)
    prompt = ALPACA.format(instruction=asked.instruction, input=record.text("input"))
    return Item(item_id, prompt, asked.gold, raw=True, origin=record.origin, meta=_meta(record) | dict(asked.meta))


def _meta(record: Record) -> dict[str, Any]:
    """Published columns; the article is the cluster: its parts are asked about the same event."""
    known = {key: record.value[key] for key in ("id", "category", "filename") if record.value.get(key) is not None}
    return known | ({"cluster": known["filename"]} if "filename" in known else {})


def _choice(record: Record) -> Asked:
    given = record.at("instruction")
    question = structure_of(given) if isinstance(given, str) else given
    if not isinstance(question, dict):
        record.bad(f"{shown(str(given))} is no question with options", "instruction")
    inner = Record(record.source, record.number, {"instruction": question})
    inner.text("instruction", "question")
    options = [inner.text("instruction", "choice", letter) for letter in LETTERS]
    gold = record.text("output").strip().upper()
    if gold not in tuple(LETTERS):
        record.bad(f"{shown(gold)} is not one of the options A, B, C, D", "output")
    return Asked(str(question), gold, {"options": options})


def _generation(record: Record) -> Asked:
    return Asked(record.text("instruction"), record.text("output"))


def _extraction(record: Record) -> Asked:
    given = record.at("output")
    spelled = structure_of(given) if isinstance(given, str) else None
    found = given if spelled is None else spelled
    if not isinstance(found, (dict, list, str)) or (isinstance(found, str) and not found.strip()):
        record.bad(f"{shown(str(given))} is no object, list or text", "output")
    try:
        gold = json.dumps(found, ensure_ascii=False, allow_nan=False)
    except ValueError:
        record.bad("it holds a number that is not finite", "output")
    return Asked(record.text("instruction"), gold)


READERS = {"choice": _choice, "gen": _generation, "ex": _extraction}


def load_part(name: str, part: str, root: Path) -> list[Item]:
    """Items of one part of the published file; see `tasks.base.Loader`."""
    path = find_file(root, FILE, name)
    return read_rows(name, part, [record.value for record in read_json_lines(path)], path)


def commonplace(scorer: Scorer, language: Language, items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """`COMMONPLACE` and its mean score: one constant text, not the best there is, which cannot be searched for."""
    text = COMMONPLACE[language]
    scores = tuple(scorer(item, Output(text), mode).value for item in items)
    return ConstantAnswer(text, fsum(scores) / len(items), scores)


def best_value(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The single value that as the only one in every answer reaches the highest mean F1."""
    del mode
    golds = [values_v2(json.loads(item.gold)) for item in items]
    reached: defaultdict[str, float] = defaultdict(float)
    for gold in golds:
        for value in set(gold):
            reached[value] += 2 / (1 + len(gold))
    best, total = max(reached.items(), key=lambda pair: pair[1])
    scores = tuple(2 / (1 + len(gold)) if best in gold else 0.0 for gold in golds)
    return ConstantAnswer(best, total / len(items), scores)


def _task(kind: str, language: Language, scorer: Scorer, metric: Metric, n_items: int, **rest: Any) -> Task:
    name, part = f"sevenllm-{KINDS[kind]}-{language}", f"{language}-{kind}"
    return Task(
        name,
        scorer,
        metric,
        load=partial(load_part, name, part),
        files=(FILE,),
        hub=HUB,
        from_rows=partial(read_rows, name, part),
        n_items=n_items,
        official_max_new_tokens=OFFICIAL_MAX_NEW_TOKENS,
        version="v2-2",
        needs=() if kind == "choice" else ("rouge", "jieba", "thefuzz"),
        extra=EXTRA,
        chat=True,
        **rest,
    )


def _choice_task(language: Language) -> Task:
    return _task("choice", language, score_choice, ACCURACY_V2, 50, max_new_tokens=128, constant=modal_gold)


def _generation_task(language: Language, metric: Metric) -> Task:
    scorer = partial(score_text, language=language)
    rest = {"constant": partial(commonplace, scorer, language), "passages": partial(text_passages, language=language)}
    return _task("gen", language, scorer, metric, 300, max_new_tokens=512, **rest)


def _extraction_task(language: Language) -> Task:
    rest = {"constant": best_value, "passages": value_passages}
    return _task("ex", language, score_values, F1_V2, 300, max_new_tokens=768, **rest)


KINDS = {"choice": "mcq", "gen": "gen", "ex": "extract"}

TASKS: tuple[Task, ...] = (
    _choice_task("en"),
    _choice_task("zh"),
    _generation_task("en", ROUGE_L_V2),
    _generation_task("zh", ROUGE_L_V2_ZH),
    _extraction_task("en"),
    _extraction_task("zh"),
)
