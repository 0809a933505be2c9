"""The items as the page's script reads them: an index of all, and texts in compressed blocks up to a budget."""

from __future__ import annotations

import base64
import gzip
import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.collection.ids import safe_id
from pytest_slmsec.reports.page.items import NOT_COMPARED, ItemView, answer_of, loss
from pytest_slmsec.reports.page.markup import Markup, join, tag, visible
from pytest_slmsec.reports.page.records import BASELINE, Report
from pytest_slmsec.reports.page.texts import Prompts, wants_texts

BLOCK = 256
"""Items in one block: the script unpacks only the blocks that it shows."""
NOT_ASKED = "?"
LEVEL = 6
"""Of gzip: 9 takes three times as long for a hundredth less."""
KEYWORD = re.compile(r"[\w.+=-]+")
"""What ``pytest -k`` takes as one word."""


@dataclass(frozen=True)
class Blocks:
    """The items of a page.

    Attributes:
        markup: the data elements. texts: how many items have prompt or answers. n: items in all. packed: how many are
            in the blocks at all; of the others the index alone speaks.
    """

    markup: Markup
    texts: int
    packed: int
    n: int


def text_row(report: Report, view: ItemView, prompts: Prompts, policy: str) -> list[Any]:
    """What a block holds of one item: prompt, right answer, and of each model what it said and how it scored."""
    shown = wants_texts(policy, view.source, view.changed, view.wrong)
    prompt, gold = (prompts.get(view.digest), view.gold) if shown else (None, None)
    return [prompt, gold, [answer_of(view, model, shown) for model in report.models]]


def blocks(report: Report, found: Sequence[ItemView], prompts: Prompts, policy: str, budget: int) -> Blocks:
    """Index and blocks, the items that readers want first before the others.

    Args:
        budget: bytes that all of it may take; the index is always there.
    """
    order = sorted(range(len(found)), key=lambda number: found[number].rank)
    room = budget - len(packed(index(report, found, order)))
    taken, shown, packs = 0, 0, list[str]()
    for start in range(0, len(order), BLOCK):
        rows = [text_row(report, found[number], prompts, policy) for number in order[start : start + BLOCK]]
        pack, size = _largest_that_fits(rows, room)
        if size:
            packs.append(pack)
        taken, room = taken + size, room - len(pack)
        shown += sum(gold is not None for _, gold, _ in rows[:size])
        if size < len(rows):
            break
    elements = [data("index", packed(index(report, found, order[:taken])))]
    elements += [data(f"block-{number}", pack) for number, pack in enumerate(packs)]
    return Blocks(join(*elements), shown, taken, len(found))


def _largest_that_fits(rows: Sequence[Any], room: int) -> tuple[str, int]:
    """A block of as many of the first rows as there is room for, halved until it fits."""
    size = len(rows)
    while size:
        pack = packed(rows[:size])
        if len(pack) <= room:
            return pack, size
        size //= 2
    return "", 0


def data(key: str, content: str) -> Markup:
    """An element that holds data and is never run."""
    return tag("script", content, type="text/plain", id=key)


def packed(value: Any) -> str:
    """JSON in gzip in base64; the same bytes for the same value, and every invisible character made visible."""
    text = json.dumps(_seen(value), ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode("utf-8"), LEVEL, mtime=0)).decode("ascii")


def _seen(value: Any) -> Any:
    """Plain data in which every text shows what is in it."""
    if isinstance(value, (list, tuple)):
        return [_seen(inner) for inner in value]
    if isinstance(value, dict):
        return {visible(key): _seen(inner) for key, inner in value.items()}
    return value if value is None or isinstance(value, (int, float)) else visible(value)


def index(report: Report, found: Sequence[ItemView], order: Sequence[int]) -> dict[str, Any]:
    """What filters and lists need of every item, as columns.

    `order`: numbers of the items in the blocks, in their order. `right`: of each model a character an item: ``1``,
    ``0`` or `NOT_ASKED`. `changes`, `loss`: of each candidate.
    """
    benchmarks, categories = report.benchmarks, sorted({view.category for view in found if view.category})
    place = {name: number for number, name in enumerate(benchmarks)}
    column = {name: number for number, name in enumerate(categories)}
    return {
        "models": report.models,
        "candidates": [[report.number(j.base), report.number(j.candidate)] for j in report.judgements],
        "benchmarks": benchmarks,
        "commands": [command(report, name) for name in benchmarks],
        "categories": categories,
        "item": [view.item for view in found],
        "keyword": {str(n): word for n, view in enumerate(found) if (word := keyword(view.item)) != view.item},
        "benchmark": [place[view.benchmark] for view in found],
        "category": [column.get(view.category or "", -1) for view in found],
        "right": ["".join(_right(view, model) for view in found) for model in report.models],
        "changes": [
            "".join(view.changes.get(n, NOT_COMPARED) for view in found) for n in range(len(report.judgements))
        ],
        "loss": [[loss(view, judgement) for view in found] for judgement in report.judgements],
        "order": list(order),
    }


def _right(view: ItemView, model: str) -> str:
    if model not in view.answers:
        return "-"
    run, row = view.answers[model]
    return "1" if run.columns["correct"][row] else "0"


def command(report: Report, benchmark: str) -> str:
    """The beginning of the command that asks an item of a benchmark again; empty for recorded answers."""
    runs = [run for run in report.runs if run.benchmark == benchmark]
    file = runs[0].facts.get("file")
    if not file or any(run.facts.get("recorded") for run in runs):
        return ""
    models = dict.fromkeys(run.model.removesuffix(BASELINE) for run in runs)
    return shlex.join(["pytest", str(file), *(f"--model={model}" for model in models), "-k"])


def keyword(item: str) -> str:
    """What ``pytest -k`` finds an item by: its id, or the longest part of it that is one word there."""
    words: list[str] = KEYWORD.findall(safe_id(item))
    return max(words, key=len, default="")
