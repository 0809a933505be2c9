"""Scores stored answers again with today's scorers: the self-test of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from string import ascii_uppercase
from typing import Any

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.identity import item_key
from pytest_slmsec.core.items import REBUILT, VARIANT, Item, Output, Reply, Score
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.perturb.benchmark import SUFFIX, robust_task
from pytest_slmsec.perturb.seeds import Seed
from pytest_slmsec.perturb.variants import variant
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import find


class Rescorer:
    """Scores the stored answers of a run with today's scorer of its benchmark.

    Args:
        data: folder of the published files, or None; some scorers need more of an item than its gold answer.
        own: the user's own benchmarks by name.
    """

    def __init__(self, data: str | None, own: Mapping[str, Task] | None = None) -> None:
        self._data = None if data == "hub" else data
        self._own = dict(own or {})

    def __call__(self, run: BenchmarkRun) -> list[Score] | str:
        """One score an item, or a sentence that says why there is none."""
        name, mode = str(run.facts.get("task")), Mode(run.facts["mode"])
        task = self._task(name)
        if task is None:
            return f"The stored scores of {run.name} were not checked: the benchmark {name!r} is not known here."
        today = f"{task.name}/{mode.value}/{task.version}"
        if run.facts["scorer"] != today:
            return f"The stored scores of {run.name} were not checked: {run.facts['scorer']} scored it, today {today}."
        try:
            items, outputs = self._items(task, run), _outputs(task, run, mode)
            return [task.scorer(item, output, mode) for item, output in zip(items, outputs, strict=True)]
        except KeyError:  # a scorer that looks up more than the gold answer, of items that are not here
            return f"The stored scores of {run.name} were not checked: its items are not here; name --slmsec-data."

    def _task(self, name: str) -> Task | None:
        own = self._own.get(name) or tasks().get(name)
        if own is not None or not name.endswith(SUFFIX):
            return own
        varied = tasks().get(name.removesuffix(SUFFIX))
        return None if varied is None else robust_task(varied)

    def _items(self, task: Task, run: BenchmarkRun) -> list[Item]:
        if VARIANT in run.columns:
            return self._variants(task, run)
        known = self._known(task, run.facts.get("source"))
        columns = zip(run.columns["item"], run.columns["sha256"], run.columns["gold"], run.columns["logprobs"],
                      _choice_scores(run), strict=True)  # fmt: skip
        return [known.get(digest) or _of_id(known, name, gold) or rebuilt(name, gold, logprobs or scores)
                for name, digest, gold, logprobs, scores in columns]  # fmt: skip

    def _variants(self, task: Task, run: BenchmarkRun) -> list[Item]:
        """The variants, made again from their items where these are here."""
        varied = tasks().get(task.name.removesuffix(SUFFIX))
        known = {} if varied is None else self._known(varied, run.facts.get("source"))
        columns = zip(run.columns["item"], run.columns["gold"], run.columns["logprobs"], _choice_scores(run),
                      run.columns[VARIANT], strict=True)  # fmt: skip
        return [_varied(known.get(facts["item"]), task, rebuilt(name, gold, logprobs or scores), facts)
                for name, gold, logprobs, scores, facts in columns]  # fmt: skip

    def _known(self, task: Task, source: object) -> Mapping[str, Item]:
        wanted = "fixture" if source == "fixture" else self._data
        if task.items is None and wanted is None:
            return {}
        try:
            return _by_digest_and_id(task, wanted)
        except (DataUnavailable, DataError):
            return {}  # the answers can be scored from what is stored, or the scorer says what it lacks


@cache
def _by_digest_and_id(task: Task, wanted: str | None) -> Mapping[str, Item]:
    items = find(task, wanted, True).items
    return {item.id: item for item in items} | {item_key(item)[:16]: item for item in items}


def _of_id(known: Mapping[str, Item], name: str, gold: str) -> Item | None:
    """An item of recorded answers with its own digest: it was matched by id when it was recorded here."""
    found = known.get(name)
    return found if found is not None and found.gold == gold else None


def _varied(original: Item | None, task: Task, blank: Item, facts: Mapping[str, Any]) -> Item:
    """The variant that `facts` tell of; `blank`, with these facts, where its item is not here or another one."""
    made = None if original is None else variant(original, Seed(original.id, facts["kind"], facts["n"]), task.kept)
    if made is not None and (made.id, made.gold) == (blank.id, blank.gold):
        return made
    return replace(blank, meta={**blank.meta, VARIANT: facts})


def rebuilt(name: str, gold: str, options: Sequence[float | None] | None, prompt: str = "") -> Item:
    """An item with what was stored of it; its options, of which `options` are the scores, are called A, B, C ..."""
    labels = tuple(ascii_uppercase[: len(options or ())])
    return Item(name, prompt, gold, choices=labels, labels=labels, meta={REBUILT: True})


def _choice_scores(run: BenchmarkRun) -> Sequence[Sequence[float | None] | None]:
    """What an encoder ranked the options by; the column is not there in runs that are older than encoders."""
    return run.columns.get("choice_scores") or [None] * run.n


def _replies(run: BenchmarkRun) -> Sequence[Sequence[Mapping[str, Any]]]:
    """What other models said about each answer; the column is there only where they were asked."""
    return run.columns.get("replies") or [()] * run.n


def _outputs(task: Task, run: BenchmarkRun, mode: Mode) -> list[Output]:
    """What was scored."""
    columns = (run.columns[key] for key in ("text", "logprobs", "hit_limit"))
    outputs = [
        Output(
            text,
            None if logprobs is None else tuple(logprobs),
            None if scores is None else tuple(scores),
            hit_limit=bool(cut),
            replies=tuple(Reply(**reply) for reply in replies),
            thought=thought,
        )
        for text, logprobs, cut, scores, replies, thought in zip(
            *columns, _choice_scores(run), _replies(run), run.columns.get("thought") or [None] * run.n, strict=True
        )
    ]
    return [task.as_scored(output, mode) for output in outputs]
