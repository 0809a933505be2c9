"""The one class, of a known list, that an answer names: "normal", "**Abnormal**.", "The log is abnormal", "异常"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from pytest_slmsec.core.items import Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.class_counts import class_parts
from pytest_slmsec.scoring.normalise import ANSWER, plain_text, unicode_plain

DENIAL_CHARS = 40
"""How far before a class a denial is looked for."""

# "not normal", "isn't a", "no": the class behind it is denied.
_DENIED = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|rather than|instead of|hardly|unlikely|doubt)\b|n't|不是|非)[^.\n]{0,12}$|"
    r"\b(?:(?:do|does|would|can)(?: not|n't)|cannot|never) (?:think|believe|say|call)\b[^.\n]{0,25}$",
    re.I,
)
_QUESTION = re.compile(r"[\"')\]]?\s?\?")


def named_class(text: str, classes: Sequence[str]) -> str | None:
    """The class that an answer commits to, or None. Strongest reading first:

    1. the whole answer, or its first or last line, is a class, apart from case, markup and a label ("Answer:");
    2. the only class that the answer names without denying it.
    """
    plain = plain_text(text)
    lines = [line for line in plain.split("\n") if line.strip()]
    known = {_bare(name): name for name in classes}
    for line in (plain, *lines[-1:], *lines[:1]):
        found = known.get(_bare(line.strip().removeprefix(ANSWER.strip())))
        if found:
            return found
    pattern = _pattern(tuple(classes))
    named = {known[_bare(match[0])] for match in pattern.finditer(plain) if not is_denied(plain, *match.span())}
    return next(iter(named)) if len(named) == 1 else None


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether a text denies the class that stands in ``text[start:end]``, or only asks for it ("normal? No.")."""
    return (
        _DENIED.search(text, max(0, start - DENIAL_CHARS), start) is not None or _QUESTION.match(text, end) is not None
    )


def _bare(text: str) -> str:
    """A text as it is compared: without case, quotes and stops at its ends; `_` and `-` are blanks."""
    return re.sub(r"[\s_-]+", " ", unicode_plain(text)).strip(" .,:;!\"'()[]").casefold()


@lru_cache(maxsize=32)
def _pattern(classes: tuple[str, ...]) -> re.Pattern[str]:
    """Any class as words of their own; the longest first, so that "abnormal" is not read as "normal"."""
    spelled = (r"[\s_-]+".join(map(re.escape, _bare(name).split())) for name in sorted(classes, key=len, reverse=True))
    return re.compile("|".join(rf"(?<![A-Za-z\d]){name}(?![A-Za-z\d])" for name in spelled), re.I)


def score_class(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the class; `Item.meta` holds ``classes`` and perhaps ``positive``, the one that is looked for.

    Both modes are the same: no scorer was released.
    """
    del mode
    said = named_class(output.text or "", item.meta["classes"])
    right = said == item.gold
    return Score(float(right), said is not None, right, said, class_parts(item.gold, said, item.meta.get("positive")))
