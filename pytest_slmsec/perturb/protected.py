"""What of a prompt stays as it is: options, ids, gold strings, machine-readable zones, the form of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.option_order import all_options
from pytest_slmsec.perturb.spans import Span, joined, without
from pytest_slmsec.perturb.zones import zone

TOKEN = re.compile(r"\S+")
MACHINE_TOKEN = re.compile(r"\d|[<>{}\[\]_\\/=|@]|\w\.[a-z]")
"""What tells an id, a version, a date, a hash, an address, a placeholder, a path, a field, a name of a host or file, or
a zone of a travel document from a word."""
MACHINE_READABLE = (
    re.compile(r"(?<![A-Za-z0-9])[A-Z][A-Z0-9-]+(?![A-Za-z0-9])"),  # CWE, JSON
    re.compile(r"^[ \t]*(?:Answer|ANSWER)\b.*$", re.M),  # examples of an answer
    re.compile(r"^[A-Z][\w -]{0,30}:", re.M),  # names of fields
    re.compile(r"\"[^\"\n]*\"|(?<!\w)'[^'\n]*'(?!\w)|`[^`\n]*`"),
)
DATA_KEYS = {"log"}
"""Keys of a gold answer in JSON under which the question itself stands."""
GOLD_KEYS = ("answers", "names", "classes", "canary")
"""Keys of `Item.meta` with texts that the scorer looks for."""
GOLD_WORD = re.compile(r"[^\W\d_]{4,}")
VARIABLE = "<*>"
"""Stands for a variable in the template of a log message."""


@dataclass(frozen=True, slots=True)
class Ground:
    """The parts of a prompt that may change.

    Attributes:
        zone: the question. free: what of it is words. addressable: where addresses may be defanged, which is everywhere
            but in options and gold strings.
    """

    zone: Span
    free: tuple[Span, ...]
    addressable: tuple[Span, ...]


def ground_of(item: Item, kept: Sequence[str] = ()) -> Ground | None:
    """The parts of an item's prompt that may change; None: there are none.

    Args:
        kept: further texts that stay.
    """
    part, text = zone(item), item.prompt
    if part is None:
        return None
    gold = [*gold_strings(item), *kept]
    fixed = [*_standing(text, part, gold), *(span for run in all_options(item) for span in run.whole)]
    machine = [Span(*match.span()) for pattern in MACHINE_READABLE for match in pattern.finditer(text)]
    machine += [Span(*match.span()) for match in TOKEN.finditer(text) if MACHINE_TOKEN.search(match[0])]
    return Ground(part, tuple(without(part, [*fixed, *machine, *_braces(text)])), tuple(without(part, fixed)))


def _standing(prompt: str, part: Span, texts: Sequence[str]) -> list[Span]:
    """Where texts stand in a part of a prompt, as whole words and whatever their case."""
    found = []
    for text in texts:
        pattern = re.compile(rf"(?<![A-Za-z0-9]){re.escape(text)}(?![A-Za-z0-9])", re.I)
        found += [Span(*match.span()) for match in pattern.finditer(prompt, part.start, part.end)]
    return joined(found)


def gold_strings(item: Item) -> list[str]:
    """Texts that the scorer compares with the answer: of the gold answer and of the item's further columns.

    A gold answer in JSON stands for the texts inside it, a template of a log message for its constant parts, any other
    for itself and its words.
    """
    told = [text for key in GOLD_KEYS for text in _leaves(item.meta.get(key))]
    try:
        gold = json.loads(item.gold)
    except ValueError:
        gold = item.gold
    texts = [*_leaves(gold), *told]
    if isinstance(gold, str):
        texts += [*gold.split(VARIABLE), *GOLD_WORD.findall(gold)]
    return sorted({text.strip() for text in texts if text.strip()}, key=lambda text: (-len(text), text))


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in DATA_KEYS:
                yield from _leaves(inner)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value


def _braces(text: str) -> list[Span]:
    """Each part between an opening brace and the one that closes it."""
    found, depth, start = [], 0, 0
    for at, character in enumerate(text):
        if character == "{":
            start = at if depth == 0 else start
            depth += 1
        elif character == "}" and depth:
            depth -= 1
            if depth == 0:
                found.append(Span(start, at + 1))
    return found
