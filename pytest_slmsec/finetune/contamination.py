"""Refuses training rows that hold questions of benchmarks, whichever of them: a model trained on its test looks better
than it is.

The rule is that of `tasks.contamination`: 8 words in a row, or the same question. Paraphrases and translations are not
found by it. Compared are our own items of every benchmark, and the published ones where their files are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import FinetuneError, SlmsecError
from pytest_slmsec.core.items import Item
from pytest_slmsec.core.wrap import counted, folded, shortened
from pytest_slmsec.engines.common.finetuned import read_overlap
from pytest_slmsec.finetune.rows import TrainingRow
from pytest_slmsec.tasks.contamination import WORDS, overlaps
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import Dataset, find

MOST_WORDS = 160
"""Characters of a shared text that a message shows."""
NAMED = 8


class Hit(NamedTuple):
    """A row that holds a question.

    Attributes:
        row: file and line. task, item: the benchmark's name and the item's id. words: what both have.
    """

    row: str
    task: str
    item: str
    words: str


@dataclass(frozen=True, slots=True)
class Overlaps:
    """What a comparison of rows with benchmarks found.

    Attributes:
        hits: by row. checked: labels of the sets of items that were compared.
        unchecked: names of benchmarks whose published items could not be had, with the reason.
        before: what the base was trained on already, as its record says.
    """

    hits: tuple[Hit, ...] = ()
    checked: tuple[str, ...] = ()
    unchecked: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, int] = field(default_factory=dict)

    def record(self) -> dict[str, Any]:
        """For the record: ``found`` names each benchmark that is not to be judged, with its number of items."""
        items: dict[str, set[str]] = {}
        for hit in self.hits:
            items.setdefault(hit.task, set()).add(hit.item)
        found = {name: len(ids) for name, ids in items.items()}
        return {"words": WORDS, "checked": list(self.checked), "unchecked": sorted(self.unchecked),
                "found": {**self.before, **found}}  # fmt: skip

    def refuse(self) -> None:
        """Refuse rows that hold a question.

        Raises:
            FinetuneError: names the first row, its item, what both have, and how many more there are.
        """
        if not self.hits:
            return
        first = self.hits[0]
        rows, names = {hit.row for hit in self.hits}, list(dict.fromkeys(hit.task for hit in self.hits))
        more = f"; in all {counted(len(rows), 'row')} of training data with items of {folded(names, NAMED)}"
        raise FinetuneError(
            f"{first.row} holds the item {first.item}: {shortened(first.words, MOST_WORDS)!r}{more}. A model trained "
            "on its test looks better than it is: take the rows out; or say --allow-overlap, and the gate gives ERROR "
            "for these benchmarks."
        )

    def notice(self) -> str | None:
        """A sentence on benchmarks that could not be compared, or None."""
        if not self.unchecked:
            return None
        names = folded(sorted(self.unchecked), NAMED)
        return (f"not compared with the published items of {counted(len(self.unchecked), 'benchmark')} ({names}): name "
                "their files with --data DIR or the variable SLMSEC_DATA.")  # fmt: skip


def compare(
    rows: Sequence[TrainingRow],
    data: str | None,
    base: Mapping[str, Any],
    own: Mapping[str, Sequence[Item]] | None = None,
) -> Overlaps:
    """Compare training rows with all items that can be had.

    Args:
        data: folder of published files. base: the record of the base, where it was fine-tuned itself.
        own: further sets of items, by the name of their benchmark.
    """
    sets, unchecked = datasets(data)
    named = [(dataset.task.name, dataset.label, dataset.items) for dataset in sets]
    named += [(name, name, items) for name, items in (own or {}).items()]
    texts = [(row.where, turn.content) for row in _whole(rows) for turn in row.turns if turn.role != "system"]
    found = overlaps([items for _, _, items in named], [text for _, text in texts])
    hits = tuple(Hit(texts[one.text][0], named[one.benchmark][0], named[one.benchmark][2][one.item].id, one.words)
                 for one in found)  # fmt: skip
    return Overlaps(hits, tuple(label for _, label, _ in named), unchecked, read_overlap(base))


def datasets(data: str | None) -> tuple[list[Dataset], dict[str, str]]:
    """Our own items of every benchmark, and the published ones that can be had without a network.

    Returns:
        The sets, and why the published items of the other benchmarks could not be had, by the benchmark's name.
    """
    found, unchecked = list[Dataset](), dict[str, str]()
    for task in tasks().values():
        own = _readable(task.name, find(task, "fixture", embedded=True), {})
        published = _readable(task.name, find(task, data, embedded=False), unchecked) if data else None
        if data is None:
            unchecked[task.name] = "no folder of published files was named"
        found += [dataset for dataset in (own, published) if dataset is not None]
    return found, unchecked


def _readable(name: str, dataset: Dataset, unchecked: dict[str, str]) -> Dataset | None:
    """A set whose items can be read; else None, with the reason in `unchecked`."""
    try:
        _ = dataset.items, dataset.label
    except (SlmsecError, ModuleNotFoundError) as error:
        unchecked[name] = str(error)
        return None
    return dataset


def _whole(rows: Sequence[TrainingRow]) -> list[TrainingRow]:
    """Each row of the files once: the training row of a dialogue's last answer holds all turns before it."""
    return list({row.where: row for row in rows}.values())
