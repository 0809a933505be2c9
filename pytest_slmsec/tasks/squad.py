"""SQuAD 1.1 and 2.0 (Rajpurkar et al. 2016, arXiv 1606.05250, and 2018, arXiv 1806.03822; CC BY-SA 4.0): questions
about a paragraph whose answers stand in it. Read from the official JSON (``dev-v1.1.json``, ``dev-v2.0.json``) or a
file of the same form; questions about one paragraph are a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import SQUAD_EM
from pytest_slmsec.scoring.squad_text import NO_ANSWER, normalised, score_words
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import ConstantAnswer, modal
from pytest_slmsec.tasks.records import Record, read_json_list, records
from pytest_slmsec.tasks.tsv import find_file

FILES = {"squad": "squad/dev-v1.1.json", "squad-v2": "squad/dev-v2.0.json"}
ASK = "Answer the question with a few words of the text, and nothing else."
ASK_V2 = f"{ASK} If the text does not answer it, write {NO_ANSWER}."


def load(task: str, root: Path) -> list[Item]:
    """Items of the official file; see `tasks.base.Loader`."""
    path = find_file(root, FILES[task], task)
    items = [
        item
        for article in read_json_list(path, "data")
        for place, paragraph in enumerate(_inner(article, "paragraphs"))
        for item in _items(task, article, place, paragraph)
    ]
    return [
        Item(f"{task}-{number:05d}", one.prompt, one.gold, origin=one.origin, meta=one.meta)
        for number, one in enumerate(items, 1)
    ]


def _inner(record: Record, field: str) -> list[Record]:
    rows = record.at(field)
    if not isinstance(rows, list):
        record.bad("it is no list", field)
    return records(f"{record.source}, record {record.number}, {field!r}", rows)


def _items(task: str, article: Record, place: int, paragraph: Record) -> list[Item]:
    title, context = article.text("title"), paragraph.text("context")
    cluster = f"{article.number}.{place}"
    return [_item(task, title, context, cluster, question) for question in _inner(paragraph, "qas")]


def _item(task: str, title: str, context: str, cluster: str, question: Record) -> Item:
    none = task == "squad-v2" and question.value.get("is_impossible") is True
    answers = [] if none else [answer.text("text") for answer in _inner(question, "answers")]
    ask = ASK_V2 if task == "squad-v2" else ASK
    meta: dict[str, object] = {"answers": answers, "category": title, "cluster": cluster}
    if task == "squad-v2":
        meta["kind"] = "unanswerable" if none else "answerable"
    return Item(
        id=question.text("id"),
        prompt=f"{ask}\n\nText: {context}\n\nQuestion: {question.text('question').strip()}",
        gold=answers[0] if answers else NO_ANSWER,
        origin=question.text("id"),
        meta=meta,
    )


def best_words(items: Sequence[Item], mode: Mode) -> ConstantAnswer:
    """The most frequent first answer, normalised, and its exact matches among all right answers."""
    del mode
    best = modal([normalised(item.gold) for item in items]).answer
    hits = tuple(float(best in map(normalised, item.meta["answers"] or [NO_ANSWER])) for item in items)
    return ConstantAnswer(best, sum(hits) / len(hits), hits)


TASKS: tuple[Task, ...] = tuple(
    Task(
        name, score_words, SQUAD_EM, load=partial(load, name), files=(file,), n_items=n_items, max_new_tokens=48,
        constant=best_words, kept=(NO_ANSWER,),
    )
    for (name, file), n_items in zip(FILES.items(), (10570, 11873), strict=True)
)  # fmt: skip
