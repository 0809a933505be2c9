"""Every benchmark by name. A family is added by one module with `TASKS` and one line here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.tasks.base import Task

FAMILIES = (
    "pytest_slmsec.tasks.ctibench",
    "pytest_slmsec.tasks.athenabench",
    "pytest_slmsec.tasks.sevenllm",
    "pytest_slmsec.tasks.cyberseceval",
    "pytest_slmsec.tasks.mmlu_style",
    "pytest_slmsec.tasks.cybermetric",
    "pytest_slmsec.tasks.seceval",
    "pytest_slmsec.tasks.secbench",
    "pytest_slmsec.tasks.opseval",
    "pytest_slmsec.tasks.syslog",
    "pytest_slmsec.tasks.cybersoc",
    "pytest_slmsec.tasks.soc_bench",
    "pytest_slmsec.tasks.logeval",
    "pytest_slmsec.tasks.loghub",
    "pytest_slmsec.tasks.hscodecomp",
    "pytest_slmsec.tasks.squad",
    "pytest_slmsec.tasks.border",
    "pytest_slmsec.tasks.prompt_injection",
    "pytest_slmsec.tasks.qa_file",
    "pytest_slmsec.tasks.secchat",
    "pytest_slmsec.tasks.nlp",
)


@cache
def tasks() -> Mapping[str, Task]:
    """All tasks by name."""
    return {task.name: task for family in FAMILIES for task in import_module(family).TASKS}


def find_task(name: str) -> Task:
    """The task of a name.

    Raises:
        UsageError: with near matches.
    """
    task = tasks().get(name)
    if task is not None:
        return task
    near = difflib.get_close_matches(name, tasks(), 3, 0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(tasks())}."
    raise UsageError(f"There is no benchmark {name!r}; {hint}")
