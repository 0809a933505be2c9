"""SecBench (Jing et al. 2024, arXiv 2412.20787; hub `secbench-hf/SecBench`; MIT), its released multiple-choice part.

2069 questions are Chinese, 661 English; 27 have several right options, and seven have five options. Neither prompt nor
scorer was released: both are ours (`PROMPTS`, `scoring.letter_set.score_letter_set`), the same in both modes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.letter_set import letters_share, score_letter_set
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import READERS, HubSource, Task
from pytest_slmsec.tasks.baselines import modal_letters
from pytest_slmsec.tasks.records import Record, read_json_lines, records
from pytest_slmsec.tasks.tsv import find_file, shown

LETTERS = "ABCDEFGH"
FILE = "secbench/MCQs_2730.jsonl"
PROMPTS = {
    "English": "{question}\n{options}\nOne or more of the options are right. "
    "Answer with the letters of all right options only, separated by commas, for example: B or A,C",
    "Chinese": "{question}\n{options}\n以上选项中有一个或多个正确。"
    "只回答所有正确选项的字母，用逗号分隔，例如：B 或 A,C",
}
DOMAINS = {
    "安全管理": "Security Management",
    "数据安全": "Data Security",
    "网络与基础架构安全": "Network and Infrastructure Security",
    "安全标准与法规": "Security Standards and Regulations",
    "应用安全": "Application Security",
    "身份与访问控制": "Identity and Access Control",
    "基础软硬件与技术": "Fundamental Software and Hardware and Technology",
    "端点与主机安全": "Endpoint and Host Security",
    "云安全": "Cloud Security",
}
ABILITIES = {
    "知识记忆": "Knowledge Retention",
    "逻辑推理": "Logical Reasoning",
}


def make_items(found: Sequence[Record]) -> list[Item]:
    """Items of the published objects `{question, answers, label, language, ability, domain}`."""
    return [_item(number, record) for number, record in enumerate(found, 1)]


def _item(number: int, record: Record) -> Item:
    options, label, language = record.texts("answers", least=2), record.text("label"), record.text("language")
    if language not in PROMPTS:
        record.bad(f"{shown(language)} is neither of {', '.join(PROMPTS)}", "language")
    allowed = LETTERS[: len(options)]
    if not re.fullmatch(f"[{allowed}]+", label):
        record.bad(f"{shown(label)} is not made of the letters {allowed[0]} to {allowed[-1]}", "label")
    domain, ability = record.text("domain"), record.text("ability")
    listed = "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return Item(
        id=f"secbench-mcq-{number:05d}",
        prompt=PROMPTS[language].format(question=record.text("question"), options=listed),
        gold=label,
        origin=record.origin,
        meta={
            "category": DOMAINS.get(domain, domain),
            "shares": [language, DOMAINS.get(domain, domain), ABILITIES.get(ability, ability), letters_share(label)],
        },
    )


def load(root: Path) -> list[Item]:
    """Items of the published file; see `tasks.base.Loader`."""
    return make_items(read_json_lines(find_file(root, FILE, "secbench-mcq")))


def from_rows(rows: Sequence[Mapping[str, object]]) -> list[Item]:
    """Items of the rows of the hub data set."""
    return make_items(records("secbench-mcq rows", rows))


TASKS: tuple[Task, ...] = (
    Task(
        "secbench-mcq", score_letter_set, ACCURACY, load=load, files=(FILE,),
        # No revision that holds the file could be confirmed; rows are counted, and their hash stands in the record.
        hub=HubSource("secbench-hf/SecBench", None, "train", "main", data_files="data/MCQs_2730.jsonl"),
        from_rows=from_rows, n_items=2730, max_new_tokens=64, constant=modal_letters, version=READERS,
    ),
)  # fmt: skip
