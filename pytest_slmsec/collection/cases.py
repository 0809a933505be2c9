"""Evaluations (a benchmark on a model) and their cases (one item on a model)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, TypeVar

import pytest

from pytest_slmsec.core.errors import Unfit
from pytest_slmsec.core.identity import item_key
from pytest_slmsec.core.items import VARIANT, Generate, Item, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.perturb.benchmark import PerturbedDataset
from pytest_slmsec.replay.match import Known, Replayed
from pytest_slmsec.scoring.base import Metric, Mode
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.sources import Dataset


@dataclass(eq=False, frozen=True)
class Evaluation:
    """One benchmark on one model, as it is to be asked. Its results are one row of the table.

    Attributes:
        positions: indices of its items in the data set, ascending.
        label: name of the benchmark in tables, entries and gates. Samples, our fixtures, official scoring and judging
            by rule each add a suffix, so that none of them is compared with the published set.
        roles: the models that grade the answers, by role. Empty for tasks without such models, and for
            ``--slmsec-judge=rule``.
        chat: raw prompts are put into the model's chat template.
        answered: generation stops as soon as the answer is complete.
        replayed: the recorded answers that stand for the model, or None.
    """

    model: ModelSpec
    task: Task
    dataset: Dataset
    positions: tuple[int, ...]
    label: str
    mode: Mode
    max_new_tokens: int | None
    roles: Mapping[str, ModelSpec] = field(default_factory=dict)
    chat: bool = False
    replayed: Replayed | None = None
    answered: bool = False

    @property
    def metric(self) -> Metric:
        """The metric of its scores. A benchmark that needs a judge has another metric without one."""
        return self.task.metric if self.roles or self.task.unjudged is None else self.task.unjudged

    @property
    def are_variants(self) -> bool:
        """Whether its items are variants of those of another benchmark (``--slmsec-perturb``)."""
        return isinstance(self.dataset, PerturbedDataset)

    @property
    def what(self) -> str:
        """Model and benchmark, for the line of progress."""
        return f"{self.model.name} {self.label}"

    def request(self, item: Item) -> Request:
        """The request to the engine for one item."""
        if self.replayed is not None:
            return self.replayed.request(item)
        request = self.task.request(item, self.mode, self.max_new_tokens, self.chat)
        request = replace(request, shared_chars=self.dataset.shared_chars)
        if self.answered and isinstance(request, Generate):
            return replace(request, answered=self.task.answered)
        return request

    @cached_property
    def items(self) -> list[Item]:
        """The items, in file order; for recorded answers as they were asked at the time.

        Raises:
            ReplayError: recorded answers belong to other items.
        """
        return [known.item for known in self.known] if self.replayed is not None else self._chosen

    @cached_property
    def known(self) -> list[Known]:
        """The items of recorded answers as they were asked, with their digests; empty for live models."""
        return [] if self.replayed is None else self.replayed.known(self._chosen)

    @cached_property
    def keys(self) -> list[str]:
        """A digest of each item: its question and its right answer."""
        return [item_key(item) for item in self.items] if self.replayed is None else [k.sha256 for k in self.known]

    def question(self, row: int) -> str | int:
        """What tells the item of a row from others: variants of one item are one question."""
        return str(self.items[row].meta[VARIANT]["item"]) if self.are_variants else row

    @property
    def _chosen(self) -> list[Item]:
        items = self.dataset.items
        return [items[position] for position in self.positions]


@dataclass(eq=False, frozen=True, slots=True)
class Case:
    """One item on one model. `row` counts the items of the evaluation from 0."""

    evaluation: Evaluation
    row: int
    id: str

    @property
    def item(self) -> Item:
        """The item. A hub data set is read on the first call."""
        return self.evaluation.items[self.row]


def unfit_of(item: pytest.Item) -> Unfit | None:
    """Why a model cannot be asked a benchmark, as found at collection; else None."""
    return _answer_of(item, Unfit)


Stood = TypeVar("Stood")


class NoItems(NamedTuple):
    """The parameter of a benchmark whose items cannot be read: its name, and the reason."""

    benchmark: str
    why: str


class LeftOut(NamedTuple):
    """The parameter of benchmarks that ``--slmsec-benchmarks`` does not ask: their names."""

    benchmarks: tuple[str, ...]


def left_out_of(item: pytest.Item) -> LeftOut | None:
    """The benchmarks that a collected test stands for without asking them, or None."""
    return _answer_of(item, LeftOut)


def no_items_of(item: pytest.Item) -> NoItems | None:
    """Why a benchmark has no cases, or None."""
    return _answer_of(item, NoItems)


def case_of(item: pytest.Item) -> Case | None:
    """The case of a collected test, or None for all other tests."""
    return _answer_of(item, Case)


def _answer_of(item: pytest.Item, kind: type[Stood]) -> Stood | None:
    """The parameter ``answer`` of a collected test, if it has the given type."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("answer") if callspec else None
    return found if isinstance(found, kind) else None
