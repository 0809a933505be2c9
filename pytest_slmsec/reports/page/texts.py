"""Which texts of which items the page holds: prompts from where they are, and a policy that is asked for each item."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pytest_slmsec.core.errors import DataError, DataUnavailable, UsageError
from pytest_slmsec.core.identity import item_key
from pytest_slmsec.core.items import Item
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.replay import transcript
from pytest_slmsec.replay.files import json_lines
from pytest_slmsec.tasks.registry import tasks
from pytest_slmsec.tasks.sources import find

POLICIES = ("auto", "changed", "wrong", "all", "none")
OURS = ("fixture", "own items")
"""What `BenchmarkRun.facts` calls items that are not published by others."""
DIGITS = 16
"""Of an item's digest, as a record holds it."""
Prompts = Mapping[str, str]
"""The prompt of each item, by the digest of the item."""


def prompts_of_items(items: Iterable[Item]) -> dict[str, str]:
    """The turns of each item as they are sent, by its digest."""
    return {item_key(item)[:DIGITS]: sent(item) for item in items}


def sent(item: Item) -> str:
    """The prompt of an item; turns before it stand above it, choices below."""
    turns = [f"[{turn.role}]\n{turn.content}" for turn in item.messages()[:-1]]
    choices = [f"[choice {label}]\n{text}" for label, text in zip(item.labels, item.choices, strict=True)]
    return "\n\n".join([*turns, item.prompt, *choices])


def prompts_of_transcript(path: Path) -> dict[str, str]:
    """The prompts in a file of ``--slmsec-transcript``.

    Raises:
        UsageError: it is none. ReplayError: it is damaged.
    """
    if not path.is_file() or not transcript.reads(path):
        raise UsageError(f"--transcript {path}: this is no file of --slmsec-transcript; name one, or leave it out.")
    found = {}
    for _, line in json_lines(path):
        if isinstance(line.get("item_sha256"), str):
            parts = [f"[system]\n{line['system']}"] if line.get("system") else []
            parts += [f"[{turn[0]}]\n{turn[1]}" for turn in line.get("shots") or ()]
            found[line["item_sha256"][:DIGITS]] = "\n\n".join([*parts, str(line.get("prompt") or "")])
    return found


def prompts_of_data(runs: Iterable[BenchmarkRun], data: str | None) -> dict[str, str]:
    """The prompts of the runs' benchmarks: of our own items, and of published files where their folder was named."""
    wanted = {(str(run.facts.get("task")), "fixture" if run.facts.get("source") == "fixture" else data) for run in runs}
    found: dict[str, str] = {}
    for name, source in sorted((name, source) for name, source in wanted if source and name in tasks()):
        try:
            found |= prompts_of_items(find(tasks()[name], source, True).items)
        except (DataUnavailable, DataError):
            continue  # a page without the prompts of one benchmark says so
    return found


def wants_texts(policy: str, source: object, changed: bool, wrong: bool) -> bool:
    """Whether the texts of an item are shown, if the budget allows.

    Args:
        policy: one of `POLICIES`; ``auto``: all, but those of data that others published.
        changed: it scores otherwise on some candidate. wrong: some model is wrong.
    """
    wanted = {"auto": source in OURS, "changed": changed, "wrong": wrong, "all": True, "none": False}
    return wanted[policy]
