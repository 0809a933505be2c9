"""What both harnesses are asked: multiple choice by letter or option text with 0 or 5 examples, and short answers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_slmsec.core.items import Choose, Generate, Item, Message
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import common_beginning, find

SHOTS = 5
LETTERS = (" A", " B", " C", " D")


@dataclass(frozen=True)
class Question:
    """One question: everything before the answer, and the answers to compare."""

    context: str
    choices: tuple[str, ...]


def load_items(data: str | None, count: int, seed: int = 0) -> tuple[list[Item], str]:
    """A seeded sample of CTI-MCQ items, repeated where more are wanted than there are, and where they come from."""
    source = data if data and Path(data).is_dir() else "fixture"
    items = list(find(find_task("cti-mcq-choice"), source, True).items)
    order = random.Random(seed).sample(items, len(items))
    return [order[at % len(order)] for at in range(count + SHOTS)], "published" if source == data else "fixture"


def questions(items: Sequence[Item], text: bool, shots: int) -> list[Question]:
    """Questions behind the first five items as worked examples, or behind none."""
    asked = [_plain(item, text) for item in items]
    solved = "".join(
        one.context + one.choices[_gold(item)] + "\n\n" for item, one in zip(items[:SHOTS], asked[:SHOTS], strict=True)
    )
    ahead = solved if shots else ""
    return [Question(ahead + one.context, one.choices) for one in asked[SHOTS:]]


def _plain(item: Item, text: bool) -> Question:
    options = item.options or tuple(item.meta["options"])
    choices = tuple(f" {option or '-'}" for option in options) if text else LETTERS
    return Question(item.prompt + "\nAnswer:", choices)


def _gold(item: Item) -> int:
    return item.labels.index(item.gold)


def choose_requests(asked: Sequence[Question]) -> list[Choose]:
    """As our engine is asked: raw text, with what all questions begin with."""
    shared = _shared_chars(asked)
    return [
        Choose(f"q{n}", (Message("user", one.context),), one.choices, raw=True, shared_chars=shared)
        for n, one in enumerate(asked)
    ]


def generate_requests(asked: Sequence[Question], limit: int, answered: str = "") -> list[Generate]:
    """The same contexts as prompts of answers, each complete as soon as it holds the pattern `answered`."""
    shared = _shared_chars(asked)
    return [
        Generate(f"g{n}", (Message("user", one.context),), limit, shared_chars=shared, answered=answered)
        for n, one in enumerate(asked)
    ]


def _shared_chars(asked: Sequence[Question]) -> int:
    texts = [one.context for one in asked]
    return common_beginning([min(texts), max(texts)])
