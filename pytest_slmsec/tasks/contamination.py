"""Which questions of a benchmark stand in training data: the one rule for runs and for fine-tuning.

A question is seen where 8 words in a row stand in a training text as well (overlap of n-grams, as GPT-3 looked for it
with 8 to 13 words: Brown et al. 2020, arXiv 2005.14165, appendix C), or where a training text is the same question.
Case, punctuation and blanks do not count. Chinese characters and kana are words of their own.

What many questions of a benchmark share (its instruction, a form of options) says nothing about one of them and is left
out, so that training in the form of a benchmark is not taken for training on its questions.

The benchmark's runs of words are held as 64-bit hashes and the training data is read as a stream, so that its size
takes time and no memory. With 10^7 words of questions and 10^8 of training data the chance that any two hashes are
equal by accident is below 10^-3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from pytest_slmsec.core.items import Item

WORDS = 8
"""Words in a row that make an overlap."""
WORDING_SHARE, WORDING_LEAST = 0.05, 3
"""A run of words in more than this share of the questions, and in more than three, is wording of the benchmark."""
SHORTEST = 3
"""Words of a question behind the benchmark's wording, from which it is looked for by itself."""

_OWN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_OWN}]|[^\W_{_OWN}]+")
_PIECE, _CHUNK, _SEED = 1_000_000, 500_000, 0


def words_of(text: str) -> list[str]:
    """The words of a text, in small letters and without punctuation."""
    return _WORD.findall(text.lower())


def seen_in(benchmarks: Sequence[Sequence[Item]], texts: Iterable[str]) -> list[list[bool]]:
    """Of each item of each benchmark, whether its question stands in the training texts, which are read once."""
    index = _Index(benchmarks)
    for text in texts:
        index.take(text)
    index.flush()
    ends = np.cumsum([len(items) for items in benchmarks])[:-1]
    return [part.tolist() for part in np.split(index.seen, ends)] if benchmarks else []


class Overlap(NamedTuple):
    """A training text and a question that stands in it.

    Attributes:
        text: the place of the text, from 0. benchmark, item: the places of the benchmark and of its item.
        words: the first run of words that both have, or the whole question.
    """

    text: int
    benchmark: int
    item: int
    words: str


def overlaps(benchmarks: Sequence[Sequence[Item]], texts: Iterable[str], words: int = WORDS) -> list[Overlap]:
    """Each training text and each question that stands in it, by text and item.

    Args:
        words: in a row that make an overlap.
    """
    index = _Index(benchmarks, words)
    for text in texts:
        index.take(text)
    index.flush()
    starts = np.cumsum([0, *map(len, benchmarks)])
    found = []
    for (text_number, number), shared in sorted(index.found.items()):
        benchmark = int(np.searchsorted(starts, number, "right")) - 1
        found.append(Overlap(text_number, benchmark, number - int(starts[benchmark]), shared))
    return found


class _Index:
    """The questions of all benchmarks by hashes of several words and by their whole text.

    Args:
        words: in a row that make an overlap.

    Attributes:
        seen: a flag an item, those of all benchmarks in a row.
        found: the first words that a text and an item share, by the numbers of both.
    """

    def __init__(self, benchmarks: Sequence[Sequence[Item]], words: int = WORDS) -> None:
        self._words = words
        self._vocabulary: dict[str, int] = {}
        self._whole: dict[str, list[int]] = {}
        self._waiting: list[int] = []
        self._owners: list[int] = []
        self._texts = 0
        self.seen = np.zeros(sum(map(len, benchmarks)), dtype=np.bool_)
        self.found: dict[tuple[int, int], str] = {}
        asked = [[[words_of(text) for text in _texts(item)] for item in items] for items in benchmarks]
        self._add_whole(asked)
        self._longest = max((key.count(" ") + 1 for key in self._whole), default=0)
        found = [[[self._ids(words) for words in texts] for texts in items] for items in asked]
        random = np.random.default_rng(_SEED)
        self._table = random.integers(1, 2**64, len(self._vocabulary) + 1, dtype=np.uint64)
        self._factors = random.integers(0, 2**63, words, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._hashes, self._items = self._sorted(found)
        self._spelt = ["", *self._vocabulary]

    def _add_whole(self, asked: Sequence[Sequence[Sequence[Sequence[str]]]]) -> None:
        number = 0
        for items in asked:
            start, end = _frame([texts[0] for texts in items], self._words)
            for texts in items:
                bare = texts[0][start : len(texts[0]) - end]
                keys = {" ".join(words) for words in (*texts, *([bare] if len(bare) >= SHORTEST else []))}
                for key in keys - {""}:
                    self._whole.setdefault(key, []).append(number)
                number += 1

    def _ids(self, words: Sequence[str]) -> Any:
        """The number of each word in the vocabulary, from 1; shape (words,)."""
        known = self._vocabulary
        return np.array([known.setdefault(word, len(known) + 1) for word in words], dtype=np.int64)

    def _sorted(self, benchmarks: Sequence[Sequence[Sequence[Any]]]) -> tuple[Any, Any]:
        """Hashes in ascending order and the item of each, without the wording of each benchmark."""
        hashes, numbers, first = [np.zeros(0, np.uint64)], [np.zeros(0, np.int64)], 0
        for items in benchmarks:
            own = [np.unique(np.concatenate([self._windows(ids) for ids in texts])) for texts in items]
            together = np.concatenate(own) if own else np.zeros(0, np.uint64)
            _, place, count = np.unique(together, return_inverse=True, return_counts=True)
            rare = count[place] <= max(WORDING_LEAST, WORDING_SHARE * len(items))
            hashes.append(together[rare])
            numbers.append(np.repeat(np.arange(first, first + len(items)), [len(one) for one in own])[rare])
            first += len(items)
        order = np.argsort(found := np.concatenate(hashes), kind="stable")
        return found[order], np.concatenate(numbers)[order]

    def _windows(self, ids: Any) -> Any:
        """The hash of each run of `words` words that are all known; shape (runs,)."""
        return self._placed(ids)[0]

    def _placed(self, ids: Any) -> tuple[Any, Any]:
        """The same, and where each run begins."""
        words = self._words
        known = np.concatenate([[0], np.cumsum(ids > 0)])
        whole = known[words:] - known[:-words] == words
        values, last = self._table[ids], max(len(ids) - words + 1, 0)
        total = np.zeros(last, np.uint64)
        for place in range(words):
            total += values[place : place + last] * self._factors[place]
        return total[whole], np.flatnonzero(whole)

    def take(self, text: str) -> None:
        """Look for the questions in one training text."""
        for count, piece in enumerate(_pieces(text)):
            words = words_of(piece)
            if count == 0 and len(words) <= self._longest:
                for item in self._whole.get(whole := " ".join(words), []):
                    self._note(self._texts, item, whole)
            self._waiting += map(self._vocabulary.get, words, repeat(0))
            self._owners += repeat(self._texts, len(words))
        self._waiting.append(0)
        self._owners.append(self._texts)
        self._texts += 1
        if len(self._waiting) >= _CHUNK:
            self.flush()

    def flush(self) -> None:
        """Compare the words that wait. The last ones stay, for a run may go on behind them."""
        windows, places = self._placed(np.array(self._waiting, dtype=np.int64))
        low, high = (np.searchsorted(self._hashes, windows, side) for side in ("left", "right"))
        hit = high > low
        for start, end, place in zip(low[hit], high[hit], places[hit], strict=True):
            shared = " ".join(self._spelt[word] for word in self._waiting[place : place + self._words])
            for item in self._items[start:end]:
                self._note(self._owners[place], int(item), shared)
        kept = len(self._waiting) - self._words + 1
        self._waiting, self._owners = self._waiting[max(kept, 0) :], self._owners[max(kept, 0) :]

    def _note(self, text: int, item: int, shared: str) -> None:
        self.seen[item] = True
        self.found.setdefault((text, item), shared)


def _texts(item: Item) -> list[str]:
    """What an item asks: the prompt first, then the question by itself and the texts before each choice."""
    return [item.prompt, *(text for text in (item.question, *item.contexts) if text)]


def _frame(prompts: Sequence[Sequence[str]], words: int) -> tuple[int, int]:
    """How many words all prompts of a benchmark begin and end with; none where that is less than an overlap."""
    shortest = min(map(len, prompts), default=0)
    if len(prompts) <= WORDING_LEAST:
        return 0, 0
    first = prompts[0]
    start = next((at for at in range(shortest) if any(p[at] != first[at] for p in prompts)), shortest)
    rest = shortest - start
    end = next((at for at in range(rest) if any(p[-1 - at] != first[-1 - at] for p in prompts)), rest)
    return (start, end) if start + end >= words else (0, 0)


def _pieces(text: str) -> Iterator[str]:
    """A text in pieces of about a million characters, each ending at a blank where there is one."""
    start = 0
    while len(text) - start > _PIECE:
        blank = max(text.rfind(mark, start + 1, start + _PIECE) for mark in (" ", "\n"))
        end = blank if blank > 0 else start + _PIECE
        yield text[start:end]
        start = end
    yield text[start:]
