"""The common form of recorded answers. Each reader beside this module turns one file format into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pytest_slmsec.core.items import Output, Score

NAMED = 3


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded answer.

    Attributes:
        where: the record inside the file, for messages: ``record 3``, ``line 5``.
        output: what the model gave; `error` set where an error was recorded instead of an answer.
        item: id of the item, or None. row: row of the published file from 1, or its own number in `Item.meta` (``id``)
            where one file holds several benchmarks; or None. Where neither is known the prompt is.
        prompt: the user turn or the whole text that was asked; None where it was not recorded.
        system: the system turn, where it was recorded apart.
        holds: texts that stand in the item's prompt, where the prompt itself was not recorded.
        raw: `prompt` is the whole text that the model read.
        choices: continuations that were compared; None where they were not recorded.
        sha256: identity of the item (`core.identity.item_key`) or the beginning of it, or None.
        gold: the right answer as it was recorded, or None.
        score: what a scorer found then, or None.
    """

    where: str
    output: Output
    item: str | None = None
    row: int | None = None
    prompt: str | None = None
    system: str | None = None
    holds: tuple[str, ...] = ()
    raw: bool = False
    choices: tuple[str, ...] | None = None
    sha256: str | None = None
    gold: str | None = None
    score: Score | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """The recorded answers of one model to one benchmark.

    Attributes:
        path: the file.
        benchmark: name of the task, or with a ``*`` at its end the beginning of the names of several in one file.
        answers: in the order of the file, at least one.
        model: its name in the file, or None.
        rows: rows of the published file, from 1, that must all be there; None where any part will do.
        decoding: how the answers were generated, as far as it is known.
        label: how the run called the benchmark (`cti-mcq@fixture~official`), or None.
        source: where the items came from, in a run of ours: ``fixture``, ``files``, ``hub ...``; else None.
        mode: ``strict`` or ``official``, in a run of ours; else None.
        costs: fields of `reports.evaluation_results.Cost` that were recorded, and ``largest_batch``.
        reasons: why fields of `costs` are missing, by field.
    """

    path: Path
    benchmark: str
    answers: tuple[Recorded, ...]
    model: str | None = None
    rows: range | None = None
    decoding: Mapping[str, Any] = field(default_factory=dict)
    label: str | None = None
    source: str | None = None
    mode: str | None = None
    costs: Mapping[str, Any] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether it holds the answers to several benchmarks."""
        return self.benchmark.endswith("*")

    def covers(self, task: str) -> bool:
        """Whether it may hold answers to a task."""
        return task == self.benchmark or (self.several and task.startswith(self.benchmark[:-1]))


class Reader(Protocol):
    """A module beside this one."""

    FORM: str
    """What it reads, for messages: ``TASK.outputs.json``."""

    def reads(self, path: Path) -> bool:
        """Whether a file is of this form, by its name or its first line. Never raises."""
        ...

    def read(self, path: Path) -> Sequence[Recording]:
        """Everything in a file, one recording for each model and benchmark.

        Raises:
            ReplayError: it is damaged; names file and record.
        """
        ...


def some(names: Sequence[str]) -> str:
    """The first names of a list, for a message."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
