"""Which items of a run stand in the data that a model was trained on (``--slmsec-trained-on``)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.core.errors import SlmsecError
from pytest_slmsec.core.items import TRAINED_ON
from pytest_slmsec.tasks.sources import Dataset

SHOWN_EVERY = 50_000
"""Training texts between two lines of progress."""


class TrainedOn:
    """Looks for the questions of a run in files of training data, before any model is loaded.

    Args:
        files: the training data; none: nothing is looked for. columns: see `tasks.training_texts.training_texts`.

    Attributes:
        facts: for the record: each file with its digest and number of texts, and the words of an overlap.
    """

    def __init__(self, files: Sequence[Path], columns: Mapping[str, str]) -> None:
        self._files, self._columns = files, columns
        self._flags: dict[Dataset, list[bool]] = {}
        self.facts: dict[str, Any] = {}

    @property
    def header(self) -> dict[str, Any]:
        """The facts, as the header of each result holds them; empty where nothing was looked for."""
        return {TRAINED_ON: self.facts} if self.facts else {}

    def check(self, whole: bool) -> None:
        """Read the first text of each file, before anything else is done.

        Args:
            whole: read all of them, because a worker process cannot tell well what is wrong.

        Raises:
            SlmsecError: a file cannot be used.
        """
        from pytest_slmsec.tasks.training_texts import training_texts

        for path in self._files:
            for _ in islice(training_texts(path, self._columns), None if whole else 1):
                pass

    def look(self, cases: Iterable[Case], say: Callable[[str], None]) -> None:
        """Look for the items of all benchmarks of `cases`. Those whose items cannot be read are left to their run.

        Args:
            say: shows one line of progress.

        Raises:
            SlmsecError: a file cannot be used.
        """
        if not self._files:
            return
        from pytest_slmsec.core.identity import sha256_file
        from pytest_slmsec.tasks.contamination import WORDS, seen_in

        items = {dataset: found for dataset in dict.fromkeys(case.evaluation.dataset for case in cases)
                 if (found := _items(dataset))}  # fmt: skip
        counts = dict.fromkeys(self._files, 0)
        texts = chain.from_iterable(self._texts(path, counts, say) for path in self._files)
        self._flags = dict(zip(items, seen_in(list(items.values()), texts), strict=True))
        files = [{"name": path.name, "sha256": sha256_file(path), "texts": counts[path]} for path in self._files]
        self.facts = {"files": files, "words": WORDS}

    def _texts(self, path: Path, counts: dict[Path, int], say: Callable[[str], None]) -> Iterator[str]:
        from pytest_slmsec.tasks.training_texts import training_texts

        say(f"reading the training data {path.name}")
        for text in training_texts(path, self._columns):
            counts[path] += 1
            if counts[path] % SHOWN_EVERY == 0:
                say(f"reading the training data {path.name}: {counts[path]:,} texts")
            yield text

    def seen(self, case: Case) -> bool | None:
        """Whether the question of a case stands in the training data; None where that was not looked for."""
        flags = self._flags.get(case.evaluation.dataset)
        return None if flags is None else flags[case.evaluation.positions[case.row]]


def _items(dataset: Dataset) -> Sequence[Any]:
    try:
        return dataset.items
    except SlmsecError:
        return ()
