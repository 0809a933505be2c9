"""Progress of a verb whose steps ask many requests: a line drawn over and over, or a line now and then in a log."""

from __future__ import annotations

import sys
import time

from pytest_slmsec.core.wrap import columns, for_stderr

LOG_EVERY_S = 10.0
DRAW_EVERY_S = 0.2


class StepProgress:
    """Writes to standard error; see `execution.progress.Progress`."""

    def __init__(self) -> None:
        self._what, self._total, self._done = "", 0, 0
        self._began = self._last = 0.0
        self._drawn = 0

    def say(self, text: str) -> None:
        """One line about what starts now; on a terminal the next one is drawn over it."""
        if sys.stderr.isatty():
            self._draw(f"slmsec: {text} ...")
        else:
            print(f"slmsec: {text}", file=sys.stderr)

    def tell(self, text: str) -> None:
        """A line that stays."""
        self._wipe()
        print(for_stderr(f"slmsec: {text}"), file=sys.stderr)

    def start(self, what: str, total: int) -> None:
        """A step with so many requests begins."""
        self._what, self._total, self._done = what, total, 0
        self._began = self._last = time.monotonic()
        self._show(0.0)

    def advance(self, done: int) -> None:
        """`done` more requests are answered."""
        self._done += done
        self._show(DRAW_EVERY_S if sys.stderr.isatty() else LOG_EVERY_S)

    def stop(self) -> None:
        """The step has ended."""
        self._wipe()

    def _show(self, every_s: float) -> None:
        now = time.monotonic()
        if now - self._last < every_s:
            return
        self._last = now
        text = f"slmsec: {self._what} {self._done:,}/{self._total:,}{self._rate(now)}"
        if sys.stderr.isatty():
            self._draw(text)
        else:
            print(text, file=sys.stderr)

    def _rate(self, now: float) -> str:
        elapsed = now - self._began
        if not self._done or elapsed <= 0:
            return ""
        rate = self._done / elapsed
        return f", {rate:.1f}/s, {(self._total - self._done) / rate:.0f} s left in this step"

    def _draw(self, text: str) -> None:
        text = text[: columns() - 1]
        print("\r" + text.ljust(self._drawn), end="", file=sys.stderr, flush=True)
        self._drawn = max(self._drawn, len(text))

    def _wipe(self) -> None:
        if self._drawn:
            print("\r" + " " * self._drawn + "\r", end="", file=sys.stderr, flush=True)
            self._drawn = 0
