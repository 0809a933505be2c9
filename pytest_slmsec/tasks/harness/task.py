"""A task of `lm_eval` as a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pytest_slmsec.core.items import Choose, Generate, Item
from pytest_slmsec.scoring.base import Metric, Mode
from pytest_slmsec.tasks.base import HubSource, Task
from pytest_slmsec.tasks.baselines import ConstantAnswer
from pytest_slmsec.tasks.harness.definition import EXTRA, PACKAGE, Definition
from pytest_slmsec.tasks.harness.files import checked, count_rows, read_split
from pytest_slmsec.tasks.harness.grading import equal_weights, modal_extracted, score_document
from pytest_slmsec.tasks.records import records

Constant = Callable[[Sequence[Item], Mode], ConstantAnswer]
LISTED_LIMIT = 256
"""What the package gives where a definition names no limit of new tokens; each item carries its own."""


class HarnessTask(Task):
    """A benchmark whose definition says when an answer ends."""

    __slots__ = ()

    def request(
        self, item: Item, mode: Mode, max_new_tokens: int | None = None, chat: bool = False
    ) -> Generate | Choose:
        """The request that asks `item`; in both modes with the limit and the stop strings of the definition."""
        from pytest_slmsec.tasks.harness.documents import LIMIT, STOP

        if self.by_choice:
            return Task.request(self, item, mode, max_new_tokens, chat)
        limit = max_new_tokens or int(item.meta[LIMIT])
        return Generate(item.id, item.messages(), limit, tuple(item.meta[STOP]), item.raw)


def harness_task(
    definition: Definition,
    metric: Metric,
    n_items: int,
    dataset: str | None,
    revision: str,
    constant: Constant | None = None,
    generates: bool = False,
) -> Task:
    """The benchmark of a definition.

    Args:
        n_items: documents of the published set; 0 where that is not known before they are read.
        dataset, revision: where they are on the hub, or None where they are not.
        constant: for choices; known tasks that generate have the most frequent answer, those with several right choices
            the score of equal probabilities.
    """
    hub = dataset and HubSource(dataset, definition.config, definition.split, revision, definition.shots_split)
    special = None
    if generates and n_items:
        special = modal_extracted
    elif definition.golds:
        special = equal_weights
    return HarnessTask(
        definition.name,
        partial(score_document, definition),
        metric,
        load=partial(_load, definition),
        count=partial(count_rows, definition) if n_items else None,
        files=(f"{definition.name}/{definition.split}.jsonl",),
        hub=hub or None,
        from_rows=partial(_from_rows, definition),
        n_items=n_items,
        max_new_tokens=LISTED_LIMIT if generates else 0,
        official_max_new_tokens=LISTED_LIMIT if generates else 0,
        constant=constant or (partial(special, definition) if special else None),
        version=definition.version,
        needs=(PACKAGE,),
        extra=EXTRA,
    )


def _load(definition: Definition, root: Path) -> list[Item]:
    from pytest_slmsec.tasks.harness.documents import items_of

    names = dict.fromkeys((definition.split, *([definition.shots_split] if definition.shots_split else [])))
    return items_of(definition, {name: read_split(definition, root, name) for name in names})


def _from_rows(
    definition: Definition, rows: Sequence[Mapping[str, Any]], shots: Sequence[Mapping[str, Any]] = ()
) -> list[Item]:
    """Items of rows of the hub; `shots`: those of the split that examples come from."""
    from pytest_slmsec.tasks.harness.documents import items_of

    given = {definition.split: rows, **({definition.shots_split: shots} if definition.shots_split else {})}
    source = f"{definition.name} rows"
    return items_of(definition, {name: checked(definition, records(source, some)) for name, some in given.items()})
