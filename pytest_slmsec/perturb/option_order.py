"""The options of a question in another order: circular shifts, with the letters of the gold answer moved along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.spans import Span

# "A) ", "A. ", "A: ", "(A) ", "'A': '", with what may stand between the label and the text
LABEL = re.compile(r"(?<![A-Za-z0-9])['\"]?([A-J])['\"]?(?:\)|\.|:|：|、)[^\S\n]*")
LISTED_LABEL = re.compile(r"^\s*[A-J][).:]\s*")
LETTERS = re.compile(r"[A-J](?:(,\s*|)[A-J](?:\1[A-J])*)?")
REFERS = re.compile(
    r"\b(?:above|below|both|all of|none of|neither)\b|\b[A-J]\s*(?:and|or|&|,)\s*[A-J]\b|以上|上述|以下|都", re.I
)
"""An option that speaks of others, and is wrong in another place."""


@dataclass(frozen=True, slots=True)
class Run:
    """The options of one question as they stand in a prompt.

    Attributes:
        texts: where the text of each option stands. whole: the same with its label.
    """

    texts: tuple[Span, ...]
    whole: tuple[Span, ...]


def all_options(item: Item) -> list[Run]:
    """Every list of options in the prompt of an item: its own, and those of examples or of a second mention."""
    known, found, run = known_options(item), list[Run](), list[re.Match[str]]()
    for match in [*LABEL.finditer(item.prompt), None]:
        if match is not None and match[1] == ascii_uppercase[len(run)]:
            run.append(match)
            continue
        if len(run) > 1:
            found.append(_run(item.prompt, run, known))
        run = [match] if match is not None and match[1] == "A" else []
    return found


def known_options(item: Item) -> list[str]:
    """The texts of the options where the benchmark gives them by themselves; else none."""
    given = item.options or item.meta.get("options") or ()
    texts = list(given.values()) if isinstance(given, dict) else list(given)
    return [LISTED_LABEL.sub("", str(text)) for text in texts]


def _run(prompt: str, labels: Sequence[re.Match[str]], known: Sequence[str]) -> Run:
    line_end = prompt.find("\n", labels[-1].end())
    ends = [match.start() for match in labels[1:]] + [len(prompt) if line_end < 0 else line_end]
    texts = [_text(prompt, match.end(), end, known[place] if place < len(known) else "")
             for place, (match, end) in enumerate(zip(labels, ends, strict=True))]  # fmt: skip
    return Run(tuple(texts), tuple(Span(match.start(), text.end) for match, text in zip(labels, texts, strict=True)))


def _text(prompt: str, start: int, end: int, known: str) -> Span:
    """The text of one option: the known one where it stands there, else what is left without quotes and separators."""
    quote = prompt[start : start + 1] if prompt[start : start + 1] in ("'", '"') else ""
    start += len(quote)
    if known.strip() and prompt.startswith(known.strip(), start):
        return Span(start, start + len(known.strip()))
    text = prompt[start:end]
    text = text[: text.rfind(quote)] if quote and quote in text else re.sub(r"[\s,;]+$", "", text)
    return Span(start, start + len(text))


def shifted(item: Item, shift: int) -> Item | None:
    """The item with each option `shift` places further, circularly; None where its order cannot change.

    That is so where the options are not shown with letters, where one of them speaks of others or is empty, where gold
    is no letter of theirs, and where the shift leads back to the first order.
    """
    runs = all_options(item)
    texts = _texts(item, runs[-1]) if runs else []
    letters = LETTERS.fullmatch(item.gold)
    if letters is None or not 0 < shift < len(texts) or not _can_move(item, texts):
        return None
    prompt, moved = item.prompt, rotated(texts, shift)
    for run in reversed([run for run in runs if _texts(item, run) == texts]):
        for span, text in reversed(list(zip(run.texts, moved, strict=True))):
            prompt = prompt[: span.start] + text + prompt[span.end :]
    gold = moved_letters(item.gold, letters[1] or "", shift, len(texts))
    options = {"options": _moved_meta(item.meta["options"], shift)} if "options" in item.meta else {}
    return replace(
        item, prompt=prompt, gold=gold, options=tuple(rotated(item.options, shift)), meta={**item.meta, **options}
    )


def _can_move(item: Item, texts: Sequence[str]) -> bool:
    """Whether the options of an item may stand in another order, and are letters to choose from."""
    known = [text.strip() for text in known_options(item)]
    fits = known in ([], list(texts)) and max(re.findall("[A-J]", item.gold)) <= ascii_uppercase[len(texts) - 1]
    by_letter = all(choice.strip() in ascii_uppercase for choice in item.choices)
    alone = all(texts) and not any(REFERS.search(text) for text in texts)
    return fits and by_letter and alone and not item.contexts


def _texts(item: Item, run: Run) -> list[str]:
    return [item.prompt[start:end].strip() for start, end in run.texts]


def rotated(values: Sequence[str], shift: int) -> list[str]:
    """Values `shift` places further, the last ones in front."""
    size = len(values)
    return [values[(place - shift) % size] for place in range(size)]


def moved_letters(gold: str, separator: str, shift: int, n: int) -> str:
    """The letters of the places to which those of `gold` move, in the order of the alphabet."""
    places = sorted((ascii_uppercase.index(letter) + shift) % n for letter in re.findall("[A-J]", gold))
    return separator.join(ascii_uppercase[place] for place in places)


def first_place(letter: str, shift: int, n: int) -> str:
    """The letter that an option had before it was shifted."""
    return ascii_uppercase[(ascii_uppercase.index(letter) - shift) % n]


def _moved_meta(options: Any, shift: int) -> Any:
    """The options as a benchmark keeps them: texts, texts with labels, or texts by label."""
    if isinstance(options, dict):
        return dict(zip(options, rotated(list(options.values()), shift), strict=True))
    labels = [match[0] if (match := LISTED_LABEL.match(text)) else "" for text in options]
    bare: list[str] = rotated([LISTED_LABEL.sub("", text) for text in options], shift)
    return [label + text for label, text in zip(labels, bare, strict=True)]
