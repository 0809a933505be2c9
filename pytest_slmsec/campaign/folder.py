"""The folder of a campaign, which one process at a time works in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_slmsec.core.errors import UsageError

LOCK = ".lock"


@contextmanager
def working_in(folder: Path) -> Iterator[int]:
    """Make the folder, and hold its lock.

    Yields:
        The descriptor of the lock's file. A process that inherits it holds the lock too, so that no session that
        outlives a killed campaign is begun a second time (https://man7.org/linux/man-pages/man2/flock.2.html).

    Raises:
        UsageError: the folder cannot be written, or another process works in it.
    """
    import fcntl  # Unix only, as campaigns are

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise UsageError(
            f"{folder}, the folder of the campaign, cannot be written ({error.strerror or error}): name another one "
            'with folder = "..." in its file.'
        ) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(
                f"{folder}: a campaign, or a session of one that was killed, still works in this folder: wait for its "
                "end, or end it."
            ) from error
        yield lock
    finally:
        os.close(lock)
