"""Which questions and answers are left out, and why. Each filter is a pure function of texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.refusal import is_refusal
from pytest_slmsec.tasks.contamination import WORDS, overlaps, words_of
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import find

UNPARSABLE, LENGTH, REFUSAL, DUPLICATE = "unparsable", "length", "refusal", "exact_duplicate"
NEAR_DUPLICATE, OVERLAP, JUDGE, FAILED = "near_duplicate", "benchmark_overlap", "judge", "failed"
REASONS = (FAILED, UNPARSABLE, LENGTH, REFUSAL, DUPLICATE, NEAR_DUPLICATE, OVERLAP, JUDGE)
"""In the order in which they are looked for. `FAILED` is no filter: the request got no answer."""


def length_problem(text: str, fewest: int, most: int) -> str | None:
    """What is wrong with the number of words, or None. Each Chinese character counts as a word."""
    words = len(words_of(text))
    if words < fewest:
        return f"{words} words, fewer than {fewest}"
    return f"{words} words, more than {most}" if words > most else None


def refuses(text: str) -> bool:
    """Whether a text refuses to help, by the strict rule of `scoring.refusal`."""
    return is_refusal(text, Mode.STRICT)


class Duplicates:
    """Finds texts that were seen before.

    A text is a near duplicate if enough of its runs of 8 words stand in one earlier text, or the other way round: the
    containment of Broder 1997 ("On the resemblance and containment of documents"), of the shorter text. Texts of fewer
    than 8 words are compared whole.

    Args:
        share: of the shorter text's runs that makes a near duplicate, above 0.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._whole: dict[tuple[str, ...], str] = {}
        self._sizes: dict[str, int] = {}
        self._holders: dict[tuple[str, ...], list[str]] = {}

    def find(self, text: str) -> tuple[str, str] | None:
        """The reason and the earlier text, or None; the text then counts as seen."""
        words = tuple(words_of(text))
        if words in self._whole:
            return DUPLICATE, self._whole[words]
        runs = {words[at : at + WORDS] for at in range(len(words) - WORDS + 1)}
        shared: dict[str, int] = {}
        for run in runs:
            for earlier in self._holders.get(run, ()):
                shared[earlier] = shared.get(earlier, 0) + 1
        for earlier, count in shared.items():
            if count >= self._share * min(len(runs), self._sizes[earlier]):
                return NEAR_DUPLICATE, earlier
        self._whole[words] = text
        self._sizes[text] = len(runs)
        for run in runs:
            self._holders.setdefault(run, []).append(text)
        return None


class Benchmarks:
    """The items of benchmarks that can be had, to be kept out of training data.

    Args:
        patterns: of names. data: a folder of published files, or what else `tasks.sources.find` takes; our own items
            always count.

    Attributes:
        checked: labels of the sets that are compared. unchecked: why the published items of the others are not, by
            name.
    """

    def __init__(self, patterns: Sequence[str], data: str | None) -> None:
        self._sets: list[Sequence[Item]] = []
        self.checked: list[str] = []
        self.unchecked: dict[str, str] = {}
        for task in tasks().values():
            if any(fnmatchcase(task.name, pattern) for pattern in patterns):
                self._add(task, "fixture", {})
                if data is None:
                    self.unchecked[task.name] = "no folder of published files was named"
                elif data != "fixture":
                    self._add(task, data, self.unchecked)

    def _add(self, task: Any, source: str, unread: dict[str, str]) -> None:
        try:
            dataset = find(task, source, embedded=False)
            items, label = dataset.items, dataset.label
        except (SlmsecError, ModuleNotFoundError) as error:
            unread[task.name] = " ".join(str(error).split())
            return
        self._sets.append(items)
        self.checked.append(label)

    def held_by(self, texts: Iterable[str]) -> Mapping[int, str]:
        """The id of an item that a text holds, by the place of the text; see `tasks.contamination`."""
        found = reversed(overlaps(self._sets, texts))  # the first item of a text is the last to be written
        return {one.text: self._sets[one.benchmark][one.item].id for one in found}
