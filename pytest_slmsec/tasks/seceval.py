"""SecEval (Li et al. 2023; hub `XuanwuAI/SecEval`, repository `XuanwuAI/SecEval`; data CC BY-NC-SA, code MIT).

Four options, of which several may be right (925 of 2189). Asked as `eval/eval.py --chat` asks: its instruction as the
system turn, its one example, and question and options in one line, the first option right behind the question. (Its
other form, five examples as raw text for models without a chat template, holds published items and is not offered.)

Seven items are published without an answer: strict mode leaves them out of the denominator and reports their number,
official mode keeps them (see `scoring.letter_set.score_seceval`). Two answers are published as ``AA``. The script's
"Overall" adds an item once for each of its topics; here it is the share of right answers, as in the published table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from pytest_slmsec.core.items import Item, Message
from pytest_slmsec.scoring.letter_set import letters_share, score_seceval
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.tasks.base import READERS, HubSource, Task
from pytest_slmsec.tasks.baselines import modal_letters
from pytest_slmsec.tasks.records import Record, read_json_list, records
from pytest_slmsec.tasks.tsv import find_file, shown

SYSTEM = (
    "Below are multiple-choice questions concerning cybersecurity. Please select the correct answers and respond with "
    "the letters ABCD only."
)
SHOTS = (
    Message("user", "Question: What's the capital of China? A: Beijing B: Shanghai C: Guangzhou D: Shenzhen"),
    Message("assistant", "Answer: A"),
)
FILE = "seceval/questions.json"


def make_items(found: Sequence[Record]) -> list[Item]:
    """Items of the published objects `{id, source, question, choices, answer, topics, keyword}`."""
    return [_item(number, record) for number, record in enumerate(found, 1)]


def _item(number: int, record: Record) -> Item:
    answer = record.text("answer", empty=True)
    if not re.fullmatch(r"[A-D]{0,4}", answer):
        record.bad(f"{shown(answer)} is not made of the letters A to D", "answer")
    choices, topics = record.texts("choices", least=4), record.texts("topics", least=0)
    return Item(
        id=f"seceval-{number:05d}",
        prompt=f"Question: {record.text('question')}{' '.join(choices)}".replace("\n", " "),
        gold=answer,
        system=SYSTEM,
        shots=SHOTS,
        origin=record.origin,
        meta={
            **({"category": topics[0]} if len(topics) == 1 else {}),
            "published_id": record.text("id"),
            "shares": [*topics, letters_share(answer)],
        },
    )


def load(root: Path) -> list[Item]:
    """Items of the published file; see `tasks.base.Loader`."""
    return make_items(read_json_list(find_file(root, FILE, "seceval")))


def from_rows(rows: Sequence[Mapping[str, object]]) -> list[Item]:
    """Items of the rows of the hub data set."""
    return make_items(records("seceval rows", rows))


TASKS: tuple[Task, ...] = (
    Task(
        "seceval", score_seceval, ACCURACY, load=load, files=(FILE,),
        hub=HubSource("XuanwuAI/SecEval", None, "train", "205dab7b0888a06f4b53ca7d9c7093e1326683e1"),
        from_rows=from_rows, n_items=2189, max_new_tokens=64, constant=modal_letters, version=READERS,
    ),
)  # fmt: skip
