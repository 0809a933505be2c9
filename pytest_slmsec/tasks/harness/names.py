"""Names of `lm_eval`'s tasks to their YAML files, without its index of all tasks (5 seconds); only groups need it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.tasks.harness.definition import tasks_folder

OPTION = "--slmsec-lm-eval"
# "task: arc_easy" or "group: mmlu" at the beginning of a line.
_NAME = re.compile(rb"^[\"']?(task|group)[\"']?: *[\"']?([^\s\"'#]+)", re.MULTILINE)


@cache
def task_files() -> Mapping[str, Path]:
    """The file of each task that has a name of its own, found by its line ``task: NAME``."""
    found: dict[str, Path] = {}
    for path in sorted(tasks_folder().rglob("*.yaml")):
        keys = dict(_NAME.findall(path.read_bytes()))
        if b"task" in keys and b"group" not in keys:
            found.setdefault(keys[b"task"].decode("utf-8", "replace"), path)
    return found


def expand(name: str) -> list[str]:
    """The tasks that a name stands for: itself, or the members of a group or tag.

    Raises:
        UsageError: no such name, with near ones; or a group that redefines its members.
    """
    if name in task_files():
        return [name]
    index = _index()
    if name not in index:
        near = difflib.get_close_matches(name, index, 3, 0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "`lm-eval ls tasks` lists them."
        raise UsageError(f"{OPTION}={name}: lm_eval has no such task; {hint}")
    return list(dict.fromkeys(_members(name, name, index)))


@cache
def _index() -> Mapping[str, Any]:
    from lm_eval.tasks import TaskManager

    with quiet():
        return dict(TaskManager().task_index)


def _members(asked: str, name: str, index: Mapping[str, Any]) -> Iterator[str]:
    entry = index.get(name)
    if entry is not None and entry.tags and entry.kind.name == "TAG":
        yield from sorted(entry.tags)
    elif entry is not None and entry.kind.name == "GROUP":
        _check_group(asked, name, entry.cfg)
        yield from _listed(asked, entry.cfg["task"], index)
    else:
        yield name


def _listed(asked: str, members: Any, index: Mapping[str, Any]) -> Iterator[str]:
    for member in members if isinstance(members, list) else [members]:
        if isinstance(member, str):
            yield from _members(asked, member, index)
        elif isinstance(member.get("task"), list):
            _check_group(asked, str(member.get("group")), member)
            yield from _listed(asked, member["task"], index)
        elif set(member) - {"task", "task_alias"}:
            _redefines(asked, str(member.get("task") or member.get("group")))
        else:
            yield from _members(asked, member["task"], index)


def _check_group(asked: str, name: str, config: Mapping[str, Any]) -> None:
    """Whatever is no key of a group is handed down to its members (`lm_eval.tasks._factory`)."""
    from lm_eval.config.group import GroupConfig

    if set(config) - {field.name for field in fields(GroupConfig)} - {"tag", "include"}:
        _redefines(asked, name)


def _redefines(asked: str, member: str) -> NoReturn:
    raise UsageError(
        f"{OPTION}={asked}: this group defines its member {member} anew, which is not read here; name tasks one by one."
    )
