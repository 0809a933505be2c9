"""Checks, before anything runs, of what would fail only at the end of the run or at every item."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.choices import MARKER
from pytest_slmsec.gating.pairing import pair_case_of

FORKED = (
    "runs each test in a process of its own, which would load the model again for every item; leave it out. "
    "Several processes that each keep their model: -n (pytest-xdist)."
)


PYGAL = "needs the package pygal: pip install pygal pygaljs, or leave it out; nothing was run."
REMOTE_STORAGE = "elasticsearch+"
STORED = "slmsec.json"
"""Stands for the files that pytest-benchmark writes into the folder of `--benchmark-storage`."""


class OutputFile(NamedTuple):
    """A file that is written at the end of a run.

    Attributes:
        flag: the option that names it. makes_folder: whoever writes it makes its folder.
    """

    flag: str
    path: Path
    makes_folder: bool


def check_options(config: pytest.Config) -> None:
    """Refuse options of other plugins with which no model can be asked, and files that cannot be written.

    Raises:
        pytest.UsageError: one of them, in one sentence.
    """
    if getattr(config.option, "forked", False):
        raise usage_error(f"--forked {FORKED}")
    if config.option.collectonly:
        return
    if getattr(config.option, "benchmark_histogram", None) and find_spec("pygal") is None:
        raise usage_error(f"--benchmark-histogram {PYGAL}")
    for file in output_files(config.option):
        problem = why_unwritable(file)
        if problem is not None:
            raise usage_error(f"{file.flag}={file.path}: {problem}; nothing was run.")


def check_markers(config: pytest.Config, items: Sequence[pytest.Item]) -> None:
    """Refuse tests that ask a model and have the marker ``forked`` of pytest-forked.

    Raises:
        pytest.UsageError: on the first of them.
    """
    if not hasattr(config.option, "forked"):
        return
    for item in items:
        asks = item.get_closest_marker(MARKER) is not None or pair_case_of(item) is not None
        if asks and item.get_closest_marker("forked") is not None:
            raise usage_error(f"{item.nodeid.partition('[')[0]}: the marker forked {FORKED}")


def output_files(option: object) -> Iterator[OutputFile]:
    """The files that a run with these options writes at its end, but for the transcript, which is opened at its start.

    Args:
        option: the parsed command line.
    """
    junit = getattr(option, "xmlpath", None)
    named = (
        ("--benchmark-json", getattr(option, "benchmark_json", None), False),
        ("--junitxml", junit and os.path.expanduser(os.path.expandvars(junit)), True),  # as `_pytest.junitxml` does
        ("--slmsec-report", getattr(option, "slmsec_report", None), True),
        ("--slmsec-json", getattr(option, "slmsec_json", None), True),
        ("--slmsec-flips", getattr(option, "slmsec_flips", None), True),
    )
    for flag, path, makes_folder in named:
        if path:
            yield OutputFile(flag, Path(path), makes_folder)
    if getattr(option, "benchmark_autosave", False) or getattr(option, "benchmark_save", None):
        storage = str(getattr(option, "benchmark_storage", ""))
        if not storage.startswith(REMOTE_STORAGE):
            yield OutputFile("--benchmark-storage", Path(storage.removeprefix("file://")) / STORED, makes_folder=True)


def why_unwritable(file: OutputFile) -> str | None:
    """Why a file cannot be written, or None. The check changes no file and leaves none behind."""
    path, folder = file.path, file.path.parent
    if path.is_dir():
        return "this is a folder; name a file"
    if not file.makes_folder and not folder.is_dir():
        return f"there is no folder {folder}; make it, or name another file"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        existed = path.exists()
        with path.open("ab"):
            pass
        if not existed:
            path.unlink()
    except OSError as error:
        return f"cannot be written ({error.strerror}); name another file"
    return None
