"""The protocol by which a run shows its progress."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Shows that long work goes on. Implemented for terminals by `pytest_slmsec.reports.progress`."""

    def say(self, text: str) -> None:
        """One line about what starts now."""

    def start(self, what: str, total: int) -> None:
        """A window of `total` items begins."""

    def advance(self, done: int) -> None:
        """`done` more items are answered."""

    def stop(self) -> None:
        """The window has ended, in whatever way."""
