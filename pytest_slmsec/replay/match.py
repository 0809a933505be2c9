"""Recorded answers brought together with the items of a benchmark: by id or row, and checked by what was asked.

The recorded prompt must contain the item's prompt; otherwise rows are shifted or the file belongs to other items.
Another harness may have added a template, examples or a system turn that it did not record. Such an item gets another
identity (`RECORDED`), so its answer is never compared with one that was asked here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from pytest_slmsec.core.errors import DataUnavailable, ReplayError
from pytest_slmsec.core.identity import item_key, sha256_json
from pytest_slmsec.core.items import Item, Message, Output, Recall, duplicates
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.replay.base import Recorded, Recording, some
from pytest_slmsec.replay.registry import read_recordings
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import Dataset, Limit

RECORDED = "recorded"
"""Part of the identity of an item that another harness asked."""
# "@100" or "@100:7" of a label: a sample, perhaps with its seed.
SAMPLE = re.compile(r"@(\d+(?::\d+)?)")


class Asked(Enum):
    """How what was recorded as asked is related to what would be asked today."""

    SAME = "they were asked as today"
    KNOWN = "their prompts were recorded, template and system turn were not"
    UNKNOWN = "their prompts were not recorded"


@dataclass(frozen=True, slots=True)
class Known:
    """An item as it was asked then, and its identity."""

    item: Item
    sha256: str
    asked: Asked


@dataclass(frozen=True, eq=False)
class Replayed:
    """The recorded answers to the items of one benchmark.

    Attributes:
        recording: where they come from.
        positions: of the items in the data set, ascending; those whose answer is missing too.
        answers: by id of the item.
    """

    recording: Recording
    positions: tuple[int, ...]
    answers: Mapping[str, Recorded]

    def request(self, item: Item) -> Recall:
        """What stands for the question: the recorded answer, or the error that there is none."""
        found = self.answers.get(item.id)
        messages = () if found is None or found.prompt is None else (Message("user", found.prompt),)
        return Recall(item.id, messages, self._output(item.id, found))

    def _output(self, item: str, found: Recorded | None) -> Output:
        if found is None:
            why = f"{item}: {self.recording.path.name} holds no answer to it"
            return Output(prompt_tokens=None, new_tokens=None, error=why)
        error = found.output.error
        return found.output if error is None else replace(found.output, error=f"{item}: {error}")

    def known(self, items: Sequence[Item]) -> list[Known]:
        """Items as they were asked then.

        Raises:
            ReplayError: some of them were not asked; names the records.
        """
        found = [(item, _known(item, self.answers.get(item.id))) for item in items]
        if other := [self.answers[item.id].where for item, known in found if known is None]:
            raise ReplayError(f"{self.recording.path}: {len(other)} prompts are not those of the items ({some(other)})"
                              ": name the data that was asked with --slmsec-data.")  # fmt: skip
        return [known for _, known in found if known is not None]

    def missing(self, items: Sequence[Item]) -> list[str]:
        """Ids of items without a recorded answer."""
        return [item.id for item in items if item.id not in self.answers]

    def notes(self, known: Sequence[Known]) -> list[str]:
        """For the summary: how it was asked, and what is missing."""
        missing = self.missing([one.item for one in known])
        kinds = {one.asked for one in known if one.item.id in self.answers}
        notes = [f"recorded answers; {kind.value}" for kind in Asked if kind in kinds]
        return notes + ([f"{len(missing)} items have no recorded answer ({some(missing)})"] if missing else [])


def match(recording: Recording, task: str, dataset: Dataset) -> Replayed:
    """Find the item of each recorded answer.

    Args:
        task: name of the benchmark. dataset: its items; only their ids are read where rows are known.

    Raises:
        ReplayError: an item is not there, or was answered twice, or every answer is an error.
        DataUnavailable: it holds answers to other benchmarks only.
    """
    ids = dataset.ids
    if recording.several:
        numbers = {item.meta.get("id"): item.id for item in dataset.items}
        found = [(numbers[answer.row], answer) for answer in recording.answers if answer.row in numbers]
        if not found:
            raise DataUnavailable(f"{recording.path} holds no recorded answers to {task}.")
    else:
        found = _found(recording, task, dataset)
    _once(recording, [name for name, _ in found])
    answers = dict(found)
    failed = [answer for _, answer in found if answer.output.error is not None]
    if len(failed) == len(found):
        raise ReplayError(f"{recording.path}: all {len(failed)} answers are errors and no answers ({failed[0].where}: "
                          f"{failed[0].output.error}): record the run again.")  # fmt: skip
    rows = range(1, len(ids) + 1) if recording.several else recording.rows or ()
    wanted = {ids[row - 1] for row in rows if row <= len(ids)} | answers.keys()
    return Replayed(recording, tuple(position for position, name in enumerate(ids) if name in wanted), answers)


def _found(recording: Recording, task: str, dataset: Dataset) -> list[tuple[str, Recorded]]:
    """The id of the item of each answer: by row or id, or, where one of these is none of this data set, by prompt.

    Raises:
        ReplayError: an item is not there, or several items have the prompt of an answer.
    """
    ids, known = dataset.ids, set(dataset.ids)
    by_name = [_named(answer, ids, known) for answer in recording.answers]
    unknown = [answer for name, answer in zip(by_name, recording.answers, strict=True) if name is None]
    if not unknown:
        return [(name, answer) for name, answer in zip(by_name, recording.answers, strict=True) if name is not None]
    if all(answer.prompt for answer in recording.answers):
        return _by_prompt(recording, task, dataset.items)
    raise ReplayError(f"{recording.path}, {unknown[0].where}: {_unknown(unknown[0], task, len(ids))}: name the data "
                      "that was asked with --slmsec-data.")  # fmt: skip


def _unknown(answer: Recorded, task: str, n_items: int) -> str:
    """What a data set lacks of the id or row that an answer names."""
    if answer.item is not None:
        return f"{task} has no item {answer.item!r} here"
    return f"{task} has {n_items} items and no row {answer.row} here" if answer.row else f"its id is no row of {task}"


def _named(answer: Recorded, ids: Sequence[str], known: Collection[str]) -> str | None:
    """The item that an answer names by its id or row, or None."""
    if answer.item is not None:
        return answer.item if answer.item in known else None
    row = answer.row or 0
    return ids[row - 1] if 1 <= row <= len(ids) else None


def _by_prompt(recording: Recording, task: str, items: Sequence[Item]) -> list[tuple[str, Recorded]]:
    """The item whose prompt is that of each answer, or the only one whose prompt stands in it (inside a template)."""
    asked: dict[str, list[str]] = {}
    for item in items:
        asked.setdefault(_words(item.prompt), []).append(item.id)
    found = []
    for answer in recording.answers:
        prompt = _words(answer.prompt or "")
        fitting = asked.get(prompt) or [name for words, names in asked.items() if words in prompt for name in names]
        if len(fitting) != 1:
            how_many = f"{len(fitting)} items have" if fitting else "no item has"
            raise ReplayError(f"{recording.path}, {answer.where}: {_unknown(answer, task, len(items))}, and {how_many} "
                              "its prompt: name the data that was asked with --slmsec-data.")  # fmt: skip
        found.append((fitting[0], answer))
    return found


def _once(recording: Recording, ids: Sequence[str]) -> None:
    if twice := list(dict.fromkeys(duplicates(ids))):
        raise ReplayError(f"{recording.path}: {len(twice)} items occur twice ({some(twice)}); every item must occur "
                          "once: record the run again.")  # fmt: skip


def _known(item: Item, answer: Recorded | None) -> Known | None:
    """The item as it was asked, or None where something else was asked."""
    if answer is None:
        return Known(item, item_key(item), Asked.SAME)
    asked = item if answer.prompt is None else replace(item, prompt=answer.prompt, system=answer.system, shots=())
    kinds = (
        Known(item, item_key(item), Asked.SAME),
        Known(asked, sha256_json([RECORDED, item_key(asked)]), Asked.KNOWN),
        Known(item, sha256_json([RECORDED, item_key(item)]), Asked.UNKNOWN),
    )
    if answer.sha256:
        return next((kind for kind in kinds if kind.sha256.startswith(answer.sha256)), None)
    if any(_words(text) not in _words(item.prompt) for text in answer.holds):
        return None
    if answer.choices is not None and item.choices and answer.choices != item.choices:
        return None
    if answer.prompt is None:
        return kinds[2]
    if item.raw and answer.raw and answer.prompt == (item.contexts[0] if item.contexts else item.prompt):
        return kinds[0]
    return kinds[1] if _words(item.prompt) in _words(answer.prompt) else None


def _words(text: str) -> str:
    """A text without differences in white space."""
    return " ".join(text.split())


def recording_of(model: ModelSpec, task: str) -> Recording:
    """The recorded answers of a model to a benchmark.

    Raises:
        DataUnavailable: there are none. ReplayError: see `registry.read_recordings`.
    """
    recordings = read_recordings(Path(model.location), model.member)
    for recording in recordings:
        if recording.covers(task):
            return recording
    held = ", ".join(recording.benchmark for recording in recordings)
    raise DataUnavailable(f"{model.name} holds no recorded answers to {task}; it holds answers to {held}.")


def unasked(model: ModelSpec) -> str:
    """One sentence on recorded answers that no selected test asks for.

    Raises:
        ReplayError: see `registry.read_recordings`.
    """
    held = [recording.benchmark for recording in read_recordings(Path(model.location), model.member)]
    unknown = [name for name in held if not name.endswith("*") and name not in tasks()]
    near = difflib.get_close_matches(unknown[0], tasks(), 1) if unknown else []
    meant = f"; did you mean {near[0]}?" if near else ""
    hint = f" ({unknown[0]!r} is no published benchmark{meant})" if unknown else ""
    return f"--model={model.names[-1]} holds answers to {', '.join(held)}, and no selected test asks for them{hint}."


def part_label(dataset: Dataset, replayed: Replayed) -> str:
    """The label of recorded answers: a part of a data set is never called by the name of the whole.

    A sample of a run of ours (``--slmsec-limit``) keeps its label where just its items are there.
    """
    n_items, positions = len(dataset.ids), replayed.positions
    if len(positions) == n_items:
        return dataset.label
    label = re.split("~", replayed.recording.label or "", maxsplit=1)[0]
    sample = SAMPLE.fullmatch(label.removeprefix(dataset.label))
    if sample and label.startswith(dataset.label) and Limit.parse(sample[1]).positions(n_items) == list(positions):
        return label
    return f"{dataset.label}@{len(positions)}rows"
