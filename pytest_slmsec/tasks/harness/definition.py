"""Which task of `lm_eval` a benchmark is, and its version; nothing here imports the package.

Source: lm_eval 0.4.13, ``tasks/**/*.yaml``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE, DISTRIBUTION, EXTRA = "lm_eval", "lm-eval", "nlp"
# "metadata:\n  version: 1.0" of a YAML file.
_VERSION = re.compile(r"^metadata:[^\n]*\n(?:[ \t]+[^\n]*\n)*?[ \t]+version: *([^\s#]+)", re.MULTILINE)
# "include: _default_template_yaml".
_INCLUDE = re.compile(r"^[\"']?include[\"']?: *[\"']?([^\s\"'#]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, eq=False)
class Definition:
    """One task of `lm_eval`.

    Attributes:
        name: as `lm_eval` names it. file: its YAML file below the package's folder ``tasks``, or anywhere.
        split: the documents that are asked. shots_split: where the examples before each question come from, or None.
        config: the data set's configuration, also the name of a folder that its files may stand in.
        headline: the metric that becomes the score, as `lm_eval` prints it: ``acc_norm``, or with the filter where
            there are several: ``exact_match,strict-match``.
        fields: columns that every document must have, and their types.
        golds: which choices are right, where the task's own target does not say so.
    """

    name: str
    file: str
    split: str
    headline: str
    shots_split: str | None = None
    config: str | None = None
    fields: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)
    golds: Callable[[Mapping[str, Any]], Sequence[int]] | None = None

    @property
    def path(self) -> Path:
        """The YAML file."""
        return tasks_folder() / self.file

    @property
    def version(self) -> str:
        """Of the scorer: the package's and the task's own."""
        try:
            return f"lm_eval {version(DISTRIBUTION)}, task {task_version(self.path)}"
        except PackageNotFoundError:
            return "lm_eval is not installed"


def tasks_folder() -> Path:
    """Where `lm_eval` keeps its tasks; an empty path where it is not installed."""
    spec = find_spec(PACKAGE)
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) / "tasks" if places else Path()


def task_version(path: Path) -> str:
    """The version in a task's YAML file or, where it has none, in the file that it includes."""
    text = path.read_text("utf-8")
    found = _VERSION.search(text)
    if found:
        return found[1].strip("\"'")
    include = _INCLUDE.search(text)
    return task_version(path.parent / include[1]) if include else "unknown"
