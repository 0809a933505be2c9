"""Windows: selected cases of one benchmark and model that the engine answers in one go."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, TypeVar

Case = TypeVar("Case", bound=Hashable)


@dataclass(eq=False)
class Window(Generic[Case]):
    """Cases that are answered together: same test function, same model."""

    key: Hashable
    cases: list[Case] = field(default_factory=list)


def cut(keyed: Iterable[tuple[Hashable, Case]], size: int) -> dict[Case, Window[Case]]:
    """Cut cases into windows of at most `size` with the same key, in their order of execution.

    Cases of different keys may interleave (random order): each key fills its own windows.

    Returns:
        The window of each case.
    """
    window_of: dict[Case, Window[Case]] = {}
    open_windows: dict[Hashable, Window[Case]] = {}
    for key, case in keyed:
        window = open_windows.get(key)
        if window is None or len(window.cases) >= size:
            window = open_windows[key] = Window(key)
        window.cases.append(case)
        window_of[case] = window
    return window_of


def following(windows: Iterable[Window[Case]]) -> dict[Window[Case], Window[Case]]:
    """Map each window to the next window with the same key. The last window of a key is left out."""
    of_key: dict[Hashable, list[Window[Case]]] = {}
    for window in dict.fromkeys(windows):
        of_key.setdefault(window.key, []).append(window)
    return {window: after for row in of_key.values() for window, after in pairwise(row)}


Thing = TypeVar("Thing")


def together(things: list[Thing], keys: list[Hashable | None]) -> list[Thing]:
    """Reorder stably so that things with the same key are adjacent, keys in order of first appearance.

    Things whose key is None keep their places exactly.
    """
    places = [place for place, key in enumerate(keys) if key is not None]
    rank = {key: number for number, key in enumerate(dict.fromkeys(key for key in keys if key is not None))}
    order = sorted(places, key=lambda place: rank[keys[place]])
    result = list(things)
    for place, source in zip(places, order, strict=True):
        result[place] = things[source]
    return result
