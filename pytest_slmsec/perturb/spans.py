"""Parts of a text that may change and parts that may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple


class Span(NamedTuple):
    """The characters from `start` up to `end`, which is not part of it."""

    start: int
    end: int


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans in order, those that touch or overlap as one; empty ones are left out."""
    found: list[Span] = []
    for span in sorted(span for span in spans if span.end > span.start):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def without(zone: Span, taken: Iterable[Span]) -> list[Span]:
    """What is left of `zone` beside the spans in `taken`."""
    left, at = [], zone.start
    for span in joined(taken):
        left.append(Span(at, min(span.start, zone.end)))
        at = max(at, span.end)
    left.append(Span(at, zone.end))
    return [span for span in left if span.end > span.start]


def within(text: str, free: Sequence[Span], pattern: re.Pattern[str]) -> list[Span]:
    """Matches of `pattern` in the free parts of a text. A match never runs into a part that is not free."""
    return [Span(*match.span()) for span in free for match in pattern.finditer(text, span.start, span.end)
            if match.end() > match.start()]  # fmt: skip


def replaced(text: str, spans: Iterable[Span], change: Callable[[str], str]) -> str:
    """The text with each of the spans, which do not overlap, changed."""
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + change(text[start:end]) + text[end:]
    return text


def some_of(spans: Sequence[Span], share: float, rng: Random) -> list[Span]:
    """A share of the spans, at least one where there is one."""
    return sorted(rng.sample(spans, max(1, round(share * len(spans))))) if spans else []
