"""Requests answered by one loaded model, batch by batch; each batch is measured and journaled as it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from pytest_slmsec.core.errors import one_sentence
from pytest_slmsec.core.identity import answer_key
from pytest_slmsec.core.items import Output, Request
from pytest_slmsec.core.journal import StoredBatch
from pytest_slmsec.core.thoughts import without_thoughts
from pytest_slmsec.engines.common.base import Batch, Interrupted
from pytest_slmsec.execution.model_loader import Resident


class AnswerStore(Protocol):
    """Where answers are kept by key; see `core.journal.Journal`."""

    def output(self, key: str) -> Output | None:
        """The stored output for a key, or None."""
        ...

    def batch_of(self, key: str) -> StoredBatch | None:
        """The batch in which the answer was measured, or None."""
        ...

    def append(self, batch: StoredBatch) -> None:
        """Store one batch."""
        ...


@dataclass(frozen=True, slots=True)
class MeasuredOutput:
    """One output with the batch it was measured in (None for an error)."""

    output: Output
    batch: StoredBatch | None


def ask(
    model: Resident, requests: Sequence[Request], journal: AnswerStore, advance: Callable[[int], None]
) -> list[MeasuredOutput]:
    """Answer `requests`, reusing answers of the journal. Results are in the order of the requests.

    Args:
        advance: called after each batch with the number of further answers.

    Raises:
        JournalError: an answer cannot be stored.
    """
    keys = [answer_key(model.identity, request) for request in requests]
    asking = _Asking(model, requests, keys, journal)
    found: dict[int, MeasuredOutput] = {}
    for batch in model.engine.plan(requests):
        failed = asking.batch([index for index in batch if journal.output(keys[index]) is None])
        found |= {index: outcome(journal, keys[index], failed.get(index)) for index in batch}
        advance(len(batch))
    return [found[index] for index in range(len(requests))]


@dataclass(frozen=True, slots=True)
class _Asking:
    model: Resident
    requests: Sequence[Request]
    keys: Sequence[str]
    journal: AnswerStore

    def batch(self, todo: Sequence[int]) -> dict[int, Output]:
        """Answer the requests at `todo` and journal them. Returns the outputs that are errors, by index."""
        if not todo:
            return {}
        meters = self.model.meters
        before = meters.begin()
        try:
            with self.model.guard():
                batch = self.model.engine.run([self.requests[index] for index in todo])
        except Interrupted as stop:
            self._keep(_answers_only(stop.batch), todo, meters.end(before))
            raise
        except Exception as error:
            return self._bisect(todo, error)
        batch = _answers_only(batch)
        self._keep(batch, todo, meters.end(before))
        return {todo[row]: output for row, output in enumerate(batch.outputs) if output.error is not None}

    def _keep(self, batch: Batch, todo: Sequence[int], meters: Mapping[str, Any]) -> None:
        """Journal what was measured."""
        sound = [row for row, output in enumerate(batch.outputs) if output.error is None]
        if sound:
            self.journal.append(_stored(batch, [self.keys[todo[row]] for row in sound], sound, meters))

    def _bisect(self, todo: Sequence[int], error: Exception) -> dict[int, Output]:
        """Halve a failing batch, so that one bad prompt is one red case."""
        if len(todo) == 1:
            return {todo[0]: Output(error=one_sentence(self.requests[todo[0]].id, error))}
        half = len(todo) // 2
        return self.batch(todo[:half]) | self.batch(todo[half:])


def _answers_only(batch: Batch) -> Batch:
    """A batch without thoughts in its texts. The engines of this project have separated them already, with what they
    know of the prompt; an engine of the user's own need not."""
    return replace(batch, outputs=tuple(map(without_thoughts, batch.outputs)))


def outcome(journal: AnswerStore, key: str, failed: Output | None) -> MeasuredOutput:
    """What became of a request: its stored answer, or an error."""
    stored = journal.output(key)
    if failed is not None or stored is None:
        return MeasuredOutput(failed or Output(error="the engine gave no answer for this item"), None)
    return MeasuredOutput(stored, journal.batch_of(key))


def _stored(batch: Batch, keys: Sequence[str], rows: Sequence[int], meters: Mapping[str, Any]) -> StoredBatch:
    outputs = tuple(batch.outputs[row] for row in rows)
    return StoredBatch(tuple(keys), outputs, asdict(batch.timing), meters, batch.notes)
