"""A benchmark of variants: ``cti-mcq+robust`` asks those of the items of ``cti-mcq``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.items import Item
from pytest_slmsec.perturb.injection import resisting
from pytest_slmsec.perturb.variants import Variants, variants
from pytest_slmsec.perturb.wanted import OPTION, Wanted
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.sources import Dataset

SUFFIX = "+robust"
PERTURBED = "perturbed"
"""Key of the facts about a group of variants."""
VERSION = "1"
"""Of the perturbations; changes whenever a text could change."""


@dataclass(frozen=True)
class PerturbedDataset(Dataset):
    """The variants of some items of a data set.

    Attributes:
        clean: the data set. wanted: what is asked for. positions: of the items in `clean` that are taken.
    """

    clean: Dataset | None = None
    wanted: tuple[Wanted, ...] = ()
    positions: tuple[int, ...] = ()

    @property
    def label(self) -> str:
        """That of the data set, under the name of the variants: ``cti-mcq+robust@fixture``."""
        return robust_label(self._clean.label, self._clean.task.name)

    @cached_property
    def ids(self) -> list[str]:
        """Ids of all variants. The items are read for them, since not every perturbation changes every item."""
        return [item.id for item in self.items]

    @cached_property
    def items(self) -> Sequence[Item]:
        """All variants.

        Raises:
            DataUnavailable: there are none, with the reasons; or see `Dataset.items`, as for DataError.
        """
        if not self.variants.items:
            reasons = "; ".join(f"{kind}: {why}" for kind, why in self.left_out.items())
            raise DataUnavailable(f"{self._clean.task.name} has no variants for {OPTION} ({reasons}).")
        return self.variants.items

    @cached_property
    def variants(self) -> Variants:
        """The variants and their counts."""
        items, refused = self._clean.items, self._refused
        chosen = [one for one in self.wanted if one.kind not in refused]
        return variants([items[position] for position in self.positions], chosen, self._clean.task.kept)

    @property
    def _clean(self) -> Dataset:
        assert self.clean is not None
        return self.clean

    @cached_property
    def _refused(self) -> Mapping[str, str]:
        found = {one.kind: why_not(self._clean.task, one.kind) for one in self.wanted}
        return {kind: why for kind, why in found.items() if why}

    @cached_property
    def left_out(self) -> Mapping[str, str]:
        """Kinds of which nothing is asked, each with the reason."""
        none = f"none of the {len(self.positions)} items can be changed so"
        counts = self.variants.counts
        return dict(self._refused) | {
            one.kind: none for one in self.wanted if one.kind not in self._refused and not counts.get(one.kind)
        }

    def facts_of_variants(self) -> Mapping[str, Any]:
        """The number of variants of each kind, how many would equal their item, and what was left out."""
        kinds, unchanged = dict(self.variants.counts), self.variants.unchanged
        same = {kind: unchanged[kind] for kind in kinds if unchanged.get(kind)}
        return {"kinds": kinds, "unchanged": same, "left_out": dict(self.left_out)}


def robust_label(label: str, task: str) -> str:
    """The label of the variants of a benchmark: ``cti-mcq+robust@fixture@100`` for ``cti-mcq@fixture@100``."""
    return label.replace(task, task + SUFFIX, 1)


def clean_label(label: str, task: str) -> str:
    """The label of the benchmark whose items the variants of `label` belong to; `task`: the name with its suffix."""
    return label.replace(task, task.removesuffix(SUFFIX), 1)


def with_variants(names: Iterable[str]) -> list[str]:
    """Names of benchmarks, and those of their variants."""
    return [name + suffix for name in names for suffix in ("", SUFFIX)]


def perturbed(clean: Dataset, wanted: tuple[Wanted, ...], positions: Sequence[int]) -> PerturbedDataset:
    """The variants of some items of a data set, one object for all models."""
    return _dataset(clean, wanted, tuple(positions))


@cache
def _dataset(clean: Dataset, wanted: tuple[Wanted, ...], positions: tuple[int, ...]) -> PerturbedDataset:
    return PerturbedDataset(robust_task(clean.task), clean.kind, clean.root, clean, wanted, positions)


@cache
def robust_task(task: Task) -> Task:
    """The benchmark of variants of `task`, scored as it is; an answer that follows an injection is wrong."""
    worst = 0.0 if task.metric.higher_is_better else task.metric.scale
    return replace(
        task, name=task.name + SUFFIX, scorer=resisting(task.scorer, worst), n_items=0, count=None,
        version=f"{task.version}.{VERSION}",
    )  # fmt: skip


def why_not(task: Task, kind: str) -> str | None:
    """Why a benchmark does not allow a kind, or None where it does."""
    if task.perturb is not None and kind not in task.perturb:
        return "the benchmark does not allow it"
    if kind == "inject" and task.by_choice:
        return "no text is generated in which a canary could stand"
    return None
