"""Parts of a text that are read one after another, where a part may contain the beginnings of others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

Value = TypeVar("Value")


class Span(NamedTuple, Generic[Value]):
    """What was read in ``text[start:end]``."""

    start: int
    end: int
    value: Value


def spans(
    places: Iterable[re.Match[str]], read: Callable[[re.Match[str]], tuple[int, Value] | None]
) -> Iterator[Span[Value]]:
    """What `read` finds at each place, in order; a place inside a part that was found before is passed over.

    Args:
        places: where a part may begin.
        read: gives the end of the part that begins there and what it holds, or None.
    """
    end = 0
    for place in places:
        found = read(place) if place.start() >= end else None
        if found is not None:
            end, value = found
            yield Span(place.start(), end, value)
