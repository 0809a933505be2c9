"""The file of a campaign, and the sessions that it stands for."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_slmsec.collection.ids import model_id, safe_id
from pytest_slmsec.config.options import PLUGIN_OPTIONS
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.identity import sha256_text
from pytest_slmsec.core.model_names import parse_model
from pytest_slmsec.core.model_registry import Registry
from pytest_slmsec.core.toml_files import check_keys, read_toml
from pytest_slmsec.quantize.registry import QUANTIZERS
from pytest_slmsec.tasks.registry import find_task, tasks

SUITE = ("benchmarks",)
"""What pytest collects where the file names no tests."""
TOGETHER = 4
LISTS, NUMBER, SWITCH, TEXT = ("models", "benchmarks", "tests", "options"), "benchmarks-per-session", "report", "folder"
KEYS = (*LISTS, NUMBER, SWITCH, TEXT)
OURS = (
    "--model", "--slmsec-benchmarks", "--slmsec-journal", "--slmsec-resume", "--slmsec-shard", "--slmsec-merge",
    "--benchmark-json",
)  # fmt: skip
"""Options that each session gets from the campaign."""


@dataclass(frozen=True, slots=True)
class Session:
    """One session of pytest: a model and a few benchmarks.

    Attributes:
        model: as named in the file. benchmarks: names of tasks. stem: its files without their endings, in the folder of
            the campaign; another for each model and choice of benchmarks.
        arguments: of pytest, without those that name files.
    """

    model: str
    benchmarks: tuple[str, ...]
    stem: Path
    arguments: tuple[str, ...]

    def file(self, ending: str) -> Path:
        """One of its files: ``json`` (the record), ``journal.jsonl``, ``log``, ``done.json``."""
        return self.stem.with_name(f"{self.stem.name}.{ending}")

    def __str__(self) -> str:
        return f"{self.model}: {', '.join(self.benchmarks)}"


@dataclass(frozen=True, slots=True)
class Campaign:
    """Models x benchmarks.

    Attributes:
        path: its file. folder: where everything is written. report: whether a page is written at the end.
        sessions: in the order in which they are begun; those of a model stand together.
    """

    path: Path
    folder: Path
    report: bool
    sessions: tuple[Session, ...]

    @property
    def models(self) -> tuple[str, ...]:
        """Names of its models, as in the file."""
        return tuple(dict.fromkeys(session.model for session in self.sessions))

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Names of its benchmarks."""
        return tuple(dict.fromkeys(name for session in self.sessions for name in session.benchmarks))


def read_campaign(path: Path, registry: Registry) -> Campaign:
    """Read the file of a campaign.

    Args:
        registry: the models known by name.

    Raises:
        UsageError: it cannot be read, or a key, model, benchmark, option or test file in it cannot be used.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}; docs/campaign.md shows what a campaign's file looks like.")
    table = read_toml(path)
    _check_values(path, table)
    tests = table.get("tests", list(SUITE))
    for name in tests:
        if not Path(name.partition("::")[0]).exists():
            raise UsageError(f"{path}: tests: there is no {name} in {Path.cwd()}; name what pytest is to collect.")
    names = _benchmarks(path, table["benchmarks"], own="tests" in table)
    _check_options(path, table.get("options", []))
    folder = Path(table[TEXT]).expanduser() if TEXT in table else path.with_suffix("")
    parts = _parts(names, table.get(NUMBER, TOGETHER))
    sessions = [
        _session(folder, model, identity, part, (*tests, *table.get("options", [])))
        for model, identity in _models(path, table["models"], registry).items()
        for part in parts
    ]
    return Campaign(path, folder, table.get(SWITCH, True), tuple(sessions))


def _check_values(path: Path, table: Mapping[str, Any]) -> None:
    check_keys(str(path), table, KEYS)
    for key, value in table.items():
        problem = _wrong_kind(key, value)
        if problem is not None:
            raise UsageError(f"{path}: {key} = {value!r}: {problem}.")
    for key in ("models", "benchmarks"):
        if not table.get(key):
            raise UsageError(f'{path}: {key} is missing: write a list, such as {key} = ["{EXAMPLES[key]}"].')


EXAMPLES = {"models": "tinysec", "benchmarks": "cti-*"}


def _wrong_kind(key: str, value: Any) -> str | None:
    if key in LISTS:
        is_list = isinstance(value, list) and all(isinstance(entry, str) and entry.strip() for entry in value)
        return None if is_list else "write a list of texts in quotes"
    if key == NUMBER:
        is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        return None if is_number else "write a whole number of at least 1"
    if key == SWITCH:
        return None if isinstance(value, bool) else "write true or false"
    return None if isinstance(value, str) and value.strip() else "write the path of a folder in quotes"


def _benchmarks(path: Path, patterns: Sequence[str], own: bool) -> list[str]:
    """The names that patterns stand for. `own`: the tests are the user's, and may hold benchmarks of their own."""
    found: dict[str, None] = {}
    for pattern in patterns:
        matching = fnmatch.filter(tasks(), pattern)
        if not matching and any(mark in pattern for mark in "*?["):
            raise UsageError(f"{path}: benchmarks: no benchmark fits {pattern!r}; `slmsec list` names all.")
        if not matching and not own:
            try:
                find_task(pattern)
            except UsageError as error:
                raise UsageError(f"{path}: benchmarks: {error}") from None
        found.update(dict.fromkeys(matching or [pattern]))
    return list(found)


def _check_options(path: Path, options: Sequence[str]) -> None:
    """Refuse options that the campaign sets itself, and misspelt ones of this plugin: each session would fail."""
    known = [option.flag for option in PLUGIN_OPTIONS]
    for option in options:
        flag = option.partition("=")[0]
        if flag in OURS:
            raise UsageError(f"{path}: options: {flag} is set by the campaign in each session; leave it out.")
        if flag.startswith("--slmsec-") and flag not in known:
            near = difflib.get_close_matches(flag, known, 1)
            hint = f"did you mean {near[0]}?" if near else "docs/options.md names all."
            raise UsageError(f"{path}: options: there is no option {flag}; {hint}")


def _models(path: Path, names: Sequence[str], registry: Registry) -> dict[str, str]:
    """Names to what stands for them in the names of files."""
    found = {name.strip(): model_id(parse_model(name.strip(), registry, tuple(QUANTIZERS), f"{path}: models"))
             for name in names}  # fmt: skip
    for name, identity in found.items():
        if list(found.values()).count(identity) > 1:
            found[name] = f"{identity}~{sha256_text(name)[:8]}"
    return found


def _parts(names: Sequence[str], most: int) -> list[tuple[str, ...]]:
    """Neighbours in groups of at most `most`, so that a benchmark added at the end changes the last group at most."""
    return [tuple(names[at : at + most]) for at in range(0, len(names), most)]


def _session(folder: Path, model: str, identity: str, part: tuple[str, ...], arguments: tuple[str, ...]) -> Session:
    first = safe_id(part[0])
    name = first if len(part) == 1 else f"{first}+{len(part) - 1}-{sha256_text(' '.join(part))[:8]}"
    asked = f"--slmsec-benchmarks={','.join(part)}"
    return Session(model, part, folder / identity / name, (*arguments, f"--model={model}", asked))
