"""Every form of recorded answers. One is added by a module with `FORM`, `reads` and `read`, and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import cast

from pytest_slmsec.core.errors import ReplayError
from pytest_slmsec.replay.base import Reader, Recording, some
from pytest_slmsec.replay.thoughts import without_recorded_thoughts

READERS = (
    "pytest_slmsec.replay.outputs",
    "pytest_slmsec.replay.responses",
    "pytest_slmsec.replay.lm_eval",
    "pytest_slmsec.replay.transcript",
    "pytest_slmsec.replay.sevenllm",
    "pytest_slmsec.replay.athena",
    "pytest_slmsec.replay.benchmark_json",
)
CHOOSE = "::"
"""Between a file and the model in it."""


def readers() -> list[Reader]:
    """All readers, in the order in which they are tried."""
    return [cast(Reader, import_module(name)) for name in READERS]


def reader_of(path: Path) -> Reader | None:
    """The reader of one file, or None."""
    return next((reader for reader in readers() if reader.reads(path)), None)


def read_recordings(path: Path, model: str | None, several: bool = False) -> list[Recording]:
    """Everything recorded in a file, or in the files of a folder, of one model.

    Args:
        model: its name in the file; needed where there are several. several: give all of them where none is named.

    Raises:
        ReplayError: no recorded answers, damaged ones, several models and none chosen, or one benchmark twice.
    """
    files = _files(path)
    stamps = tuple((file.stat().st_mtime_ns, file.stat().st_size) for file in files)
    return _chosen(_read(tuple(files), stamps, path), model, path, several)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())
    return [path] if path.is_file() else []


@lru_cache(maxsize=16)
def _read(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...], path: Path) -> tuple[Recording, ...]:
    """`stamps` are the times and sizes of the files, so that a changed file is read again."""
    readers_of_files = [(file, reader_of(file)) for file in files]
    found = [(file, reader) for file, reader in readers_of_files if reader is not None]
    if not found:
        forms = "; ".join(reader.FORM for reader in readers())
        raise ReplayError(f"{path} holds no recorded answers of a known form; known: {forms}.")
    recordings = tuple(
        without_recorded_thoughts(recording) for file, reader in found for recording in reader.read(file)
    )
    empty = [str(recording.path) for recording in recordings if not recording.answers]
    if empty or not recordings:
        raise ReplayError(f"{some(empty) or path} holds no answers: there is nothing to score; record the run again.")
    return recordings


def _chosen(recordings: Sequence[Recording], model: str | None, path: Path, several: bool) -> list[Recording]:
    models = list(dict.fromkeys(recording.model or "" for recording in recordings))
    if model is None and len(models) > 1 and not several:
        raise ReplayError(f"{path} holds {len(models)} models ({', '.join(models)}): choose one, for example "
                          f"{path}{CHOOSE}{models[0]}.")  # fmt: skip
    chosen = [recording for recording in recordings if model in (None, recording.model)]
    if not chosen:
        raise ReplayError(f"{path} holds no model {model!r}; it holds {', '.join(filter(None, models)) or 'no names'}.")
    seen: dict[tuple[str, str | None], Recording] = {}
    for recording in chosen:
        first = seen.setdefault((recording.benchmark, recording.model), recording)
        if first is not recording:
            raise ReplayError(f"{first.path} and {recording.path} both hold {recording.benchmark}: name one of them.")
    return chosen
