"""The journal files of a run, and how they are opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from pytest_slmsec.core.journal import Journal
from pytest_slmsec.core.wrap import counted


def worker_journal(path: Path, worker: str) -> Path:
    """The journal of an xdist worker, beside that of the main process: ``journal.gw0.jsonl``."""
    return path.with_name(f"{path.stem}.{worker}{path.suffix}")


def journals_beside(path: Path) -> list[Path]:
    """The journals of the main process and of all workers that lie where `path` does."""
    stem = re.sub(r"\.gw\d+$", "", path.stem)
    main = path.with_name(stem + path.suffix)
    return [*([main] if main.exists() else []), *sorted(path.parent.glob(f"{stem}.gw*{path.suffix}"))]


def open_journal(path: Path, resume: bool, say: Callable[[str], None]) -> Journal:
    """Open the journal of a run: a new one, or with `resume` the answers of earlier runs as well.

    Args:
        say: shows one line on what was found.

    Raises:
        JournalError: the file cannot be read or written.
    """
    if resume:
        journal = Journal.resume(path, [other for other in journals_beside(path) if other != path])
        say(f"resuming with {counted(len(journal), 'answer')} of {path}")
    else:
        journal = Journal.start(path)
    if damaged := journal.damaged_lines:
        say(f"{damaged} damaged or foreign lines of the journal are not used")
    return journal
