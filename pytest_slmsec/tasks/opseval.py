"""OpsEval (Liu et al. 2023, arXiv 2310.07637; repository `NetManAIOps/OpsEval-Datasets`; Apache-2.0): IT operations.

Its three sets of multiple-choice questions: wired networks (779 English, 779 Chinese), Oracle databases (192 and 198)
and 5G communication (Chinese). Asked without examples as `src/network_run.py` of the fork `lwhere/OpsEval-Datasets`
asks (the repository itself has no script): question and options, and its instruction; its first sentence, which names a
placeholder that is never filled in, is left out.

Traps: Oracle questions carry their options in the text, with labels of several forms; 5G questions repeat theirs at the
end of the text, and 14 true-or-false statements have none, for which "right" and "wrong" are added as in the other 106;
four published answers end in a comma and one is the number of an option (see `scoring.letter_set.gold_letters`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.letter_set import gold_letters, letters_share, score_opseval
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import READERS, Task
from pytest_slmsec.tasks.baselines import modal_letters
from pytest_slmsec.tasks.records import Record, read_json_list
from pytest_slmsec.tasks.tsv import find_file, shown

ENGLISH = "Give the answer. Letters only, separated by comma (A, B, C, etc.), without answer contents or explanations."
CHINESE = "给出答案，仅包含逗号分隔的字母，不包含答案内容或其他解释。"
RIGHT_WRONG = ("正确", "错误")
LETTERS = "ABCDEFGHI"
# Any Chinese character, such as "中".
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def _listed(options: Sequence[str], mark: str) -> str:
    return "\n".join(f"{letter}{mark} {option}" for letter, option in zip(LETTERS, options, strict=False))


def wired_question(record: Record) -> str:
    """The question and its options below it."""
    return f"{record.text('question')}\n{_listed(record.texts('choices', least=2), '.')}"


def oracle_question(record: Record) -> str:
    """The question, which holds its options."""
    return record.text("question")


def mobile_question(record: Record) -> str:
    """The question, which ends in its options; without any it is a statement that is right or wrong."""
    question, options = record.text("question"), record.texts("choices", least=0)
    return question if options else f"{question.rstrip()}\n{_listed(RIGHT_WRONG, ':')}"


def make_items(task: str, question: Callable[[Record], str], records: Sequence[Record]) -> list[Item]:
    """Items of the published objects `{id, question, choices, answer}`; `question` makes the text with the options."""
    return [_item(f"{task}-{number:05d}", question, record) for number, record in enumerate(records, 1)]


def _item(name: str, question: Callable[[Record], str], record: Record) -> Item:
    answer, text = record.text("answer"), question(record)
    if not re.fullmatch(r"\s*(?:[A-H](?:\s*,\s*[A-H])*\s*,?|[1-8])\s*", answer) or not gold_letters(answer):
        record.bad(f"{shown(answer)} is not a list of letters such as A,C", "answer")
    chinese = bool(_CHINESE.search(text))
    language = "Chinese" if chinese else "English"
    return Item(
        id=name,
        prompt=f"{text}\n{CHINESE if chinese else ENGLISH}",
        gold=answer,
        origin=record.origin,
        meta={
            "category": language,
            "published_id": record.text("id"),
            "shares": [language, letters_share(answer)],
        },
    )


def _load(task: str, file: str, question: Callable[[Record], str], root: Path) -> list[Item]:
    return make_items(task, question, read_json_list(find_file(root, file, task)))


def _task(name: str, title: str, question: Callable[[Record], str], n_items: int) -> Task:
    file = f"opseval/data/test/{title}.json"
    return Task(
        name, score_opseval, ACCURACY, load=partial(_load, name, file, question), files=(file,), n_items=n_items,
        max_new_tokens=64, constant=modal_letters, version=READERS,
    )  # fmt: skip


TASKS: tuple[Task, ...] = (
    _task("opseval-wired-network", "Wired Network", wired_question, 1558),
    _task("opseval-oracle", "Oracle Database", oracle_question, 390),
    _task("opseval-5g", "5G Communication", mobile_question, 343),
)
