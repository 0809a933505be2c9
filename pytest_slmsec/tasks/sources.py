"""Where the items of a task come from: the user's own list, published files, our fixtures, or the hub.

Ids and counts are known at collection time for all of them; the rows of a hub data set are read when the first window
runs, because that needs the network and the package `datasets`.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal

from pytest_slmsec.core.errors import DataError, DataUnavailable, UsageError
from pytest_slmsec.core.hub import downloads_only_unless_it_answers
from pytest_slmsec.core.identity import items_key
from pytest_slmsec.core.items import Item, duplicates
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.tasks.base import Task

Kind = Literal["own", "files", "fixture", "hub"]
DATA_REMEDY = "name the folder of the published files with --slmsec-data=DIR or the variable SLMSEC_DATA"


@dataclass(frozen=True, slots=True)
class Limit:
    """A seeded sample of `n` items: ``--slmsec-limit N[:SEED]``."""

    n: int
    seed: int = 0

    @classmethod
    def parse(cls, text: str) -> Limit:
        """Read ``N`` or ``N:SEED``.

        Raises:
            UsageError: N is no positive whole number, or SEED is no whole number.
        """
        count, _, seed = text.partition(":")
        if not count.isdecimal() or int(count) < 1 or (seed and not seed.isdecimal()):
            raise UsageError(f"--slmsec-limit={text}: write N or N:SEED, for example 100 or 100:7.")
        return cls(int(count), int(seed or 0))

    @property
    def label(self) -> str:
        """As it stands behind the label of a benchmark: ``100``, or ``100:7`` for another seed than 0."""
        return f"{self.n}:{self.seed}" if self.seed else str(self.n)

    def positions(self, n_items: int) -> list[int]:
        """The sampled positions, ascending; all of them when there are not more than `n`."""
        if self.n >= n_items:
            return list(range(n_items))
        return sorted(random.Random(self.seed).sample(range(n_items), self.n))


@dataclass(frozen=True)
class Dataset:
    """The items of one task from one source.

    Attributes:
        task: the benchmark.
        kind: where they come from. root: the folder, for files and fixtures.
    """

    task: Task
    kind: Kind
    root: Path | None = None

    @property
    def label(self) -> str:
        """The task's name; what is not the whole published set is never printed under its bare name.

        Our own items are ``cti-mcq@fixture``; files with another number of rows than published (a part, a cut file, a
        set of the user's in the same format) are ``cti-mcq@120rows``.
        """
        if self.kind == "fixture":
            return f"{self.task.name}@fixture"
        if self.kind == "files" and len(self.ids) != self.task.n_items:
            return f"{self.task.name}@{len(self.ids)}rows"
        return self.task.name

    @property
    def origin(self) -> str:
        """For the record and the summary: where the items come from, without the machine's path."""
        hub = self.task.hub
        if self.kind == "hub" and hub:
            return f"hub {hub.dataset}@{hub.revision[:12]}"
        return {"own": "own items", "fixture": "fixture", "files": "files"}.get(self.kind, self.kind)

    @cached_property
    def ids(self) -> list[str]:
        """Ids of all items, in file order. Hub rows are numbered from 1 to the published count, without a download."""
        if self.kind == "hub" and self.task.n_items:
            return self._numbered(self.task.n_items)
        if self.root is not None and self.task.count is not None:
            return self._numbered(self.task.count(self.root))
        return [item.id for item in self.items]

    def facts_of_variants(self) -> Mapping[str, Any] | None:
        """What is known of its perturbed texts, or None where they are the published ones."""
        return None

    def _numbered(self, n_items: int) -> list[str]:
        return [f"{self.task.name}-{row:05d}" for row in range(1, n_items + 1)]

    @cached_property
    def items(self) -> Sequence[Item]:
        """All items, in file order.

        Raises:
            DataUnavailable, DataError: see `tasks.base.Loader`; also for duplicated ids and an empty set.
        """
        items = self._read()
        if not items:
            raise DataError(f"{self.task.name}: there are no items in {self.origin}; at least one is needed.")
        if doubled := duplicates([item.id for item in items]):
            raise DataError(f"{self.task.name}: the id {doubled[0]!r} occurs twice; every item needs an id of its own.")
        return items

    @cached_property
    def sha256(self) -> str:
        """Identity of all items in order."""
        return items_key(self.items)

    @cached_property
    def shared_chars(self) -> int:
        """How many characters all prompts begin with; 0 where what precedes them differs.

        Taken from the whole set, so that it does not depend on what is selected.
        """
        first = self.items[0]
        if any((item.system, item.shots, item.raw) != (first.system, first.shots, first.raw) for item in self.items):
            return 0
        prompts = [item.prompt for item in self.items]
        return common_beginning([min(prompts), max(prompts)])

    def _read(self) -> Sequence[Item]:
        if self.kind == "own":
            return self.task.items or ()
        if self.kind == "hub":
            return _from_hub(self.task)
        if self.task.load is None or self.root is None:
            raise DataUnavailable(f"{self.task.name}: this benchmark has no published files to read.")
        return self.task.load(self.root)


def common_beginning(texts: Sequence[str]) -> int:
    """How many first characters two texts have in common; of many, it is that of the least and the greatest."""
    one, other = texts
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def find(task: Task, wanted: str | None, embedded: bool) -> Dataset:
    """The data set of a task for one model.

    Args:
        wanted: ``--slmsec-data`` or SLMSEC_DATA: ``hub``, ``fixture``, a directory, or None for the default.
        embedded: the model ships with the project, so its default is `fixture`; for others it is `hub`.

    Raises:
        DataUnavailable: the source does not have this benchmark, with the remedy.
    """
    if task.items is not None:
        return _dataset(task, "own", None)
    kind = wanted or ("fixture" if embedded else "hub")
    if kind == "fixture":
        return _dataset(task, "fixture", fixtures_dir() / "data")
    if kind != "hub":
        return _dataset(task, "files", Path(kind).expanduser())
    if task.hub is None or task.from_rows is None:
        raise DataUnavailable(f"{task.name} is not on the hub in its published form: {DATA_REMEDY}.")
    return _dataset(task, "hub", None)


@cache
def _dataset(task: Task, kind: Kind, root: Path | None) -> Dataset:
    """The data set of a task and source, one object for all models, so that its items are read once."""
    return Dataset(task, kind, root)


def _from_hub(task: Task) -> Sequence[Item]:
    hub, from_rows = task.hub, task.from_rows
    assert hub is not None
    assert from_rows is not None
    import datasets

    options = {"revision": hub.revision, "data_files": hub.data_files}
    splits = [hub.split, *([hub.shots_split] if hub.shots_split else [])]
    try:
        with downloads_only_unless_it_answers():
            rows = [list(datasets.load_dataset(hub.dataset, hub.config, split=split, **options)) for split in splits]
    except Exception as error:  # the library raises many kinds, of which several are not its own
        raise DataUnavailable(
            f"{task.name}: {hub.dataset} could not be read from the Hugging Face hub "
            f"({type(error).__name__}: {' '.join(str(error).split())[:200]}): {DATA_REMEDY}."
        ) from error
    items = from_rows(*rows)
    if task.n_items and len(items) != task.n_items:
        raise DataError(
            f"{task.name}: {hub.dataset} has {len(items)} rows and {task.n_items} are published: {DATA_REMEDY}."
        )
    return items
