"""Progress of windows: a moving line on a terminal, a line now and then in a CI log."""

from __future__ import annotations

import threading
import time
from collections import deque
from contextlib import nullcontext
from typing import Any

import pytest

LOG_EVERY_S = 30.0
DRAW_EVERY_S = 0.2


class TerminalProgress:
    """Writes through pytest's terminal reporter while capture is off, so nothing gets into the output of a test.

    On a terminal the line is drawn over and over and wiped when the window ends. Elsewhere a line appears only when a
    window has been running for half a minute. ``-q`` and xdist workers stay silent.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._what, self._total, self._done = "", 0, 0
        self._began = self._last = 0.0
        self._drawn = 0
        self._notices: deque[str] = deque()

    def say(self, text: str) -> None:
        """One line about what starts now; on a terminal it is drawn over by what follows."""
        reporter = self._reporter()
        if reporter is None:
            return
        if reporter.isatty:
            self._draw(reporter, f"slmsec: {text} ...")
        elif reporter.verbosity > 0:
            self._line(reporter, f"slmsec: {text}")

    def notice(self, text: str) -> None:
        """A line of its own, also in a log, about a wait that the user should know of. Any thread may call it: from
        others than the main one, the line appears when progress is shown next."""
        self._notices.append(text)
        if threading.current_thread() is threading.main_thread():
            self._show_notices()

    def _show_notices(self) -> None:
        while self._notices:
            text = self._notices.popleft()
            reporter = self._reporter()
            if reporter is not None:
                self._line(reporter, f"slmsec: {text}")

    def start(self, what: str, total: int) -> None:
        """A window of `total` items begins."""
        self._what, self._total, self._done = what, total, 0
        self._began = self._last = time.monotonic()
        self._show(0.0)

    def advance(self, done: int) -> None:
        """`done` more items are answered."""
        self._show_notices()
        self._done += done
        self._show(DRAW_EVERY_S)

    def stop(self) -> None:
        """Wipe the moving line, and show notices that came late."""
        reporter = self._reporter()
        if reporter is not None and self._drawn:
            with self._lifted():
                reporter.write("\r" + " " * self._drawn + "\r", flush=True)
            self._drawn = 0
        self._show_notices()

    def _show(self, draw_every_s: float) -> None:
        reporter, now = self._reporter(), time.monotonic()
        if reporter is None or now - self._last < (draw_every_s if reporter.isatty else LOG_EVERY_S):
            return
        self._last = now
        text = f"slmsec: {self._what} {self._done}/{self._total}{self._rate(now)}"
        if reporter.isatty:
            self._draw(reporter, text)
        else:
            self._line(reporter, text)

    def _rate(self, now: float) -> str:
        elapsed = now - self._began
        if not self._done or elapsed <= 0:
            return ""
        rate = self._done / elapsed
        return f", {rate:.1f} items/s, {(self._total - self._done) / rate:.0f} s left in this window"

    def _draw(self, reporter: Any, text: str) -> None:
        text = text[: reporter._tw.fullwidth - 1]
        with self._lifted():
            reporter.write("\r" + text.ljust(self._drawn), flush=True)
        self._drawn = max(self._drawn, len(text))

    def _line(self, reporter: Any, text: str) -> None:
        with self._lifted():
            reporter.ensure_newline()
            reporter.write_line(text)

    def _lifted(self) -> Any:
        capture = self._config.pluginmanager.get_plugin("capturemanager")
        return nullcontext() if capture is None else capture.global_and_fixture_disabled()

    def _reporter(self) -> Any:
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        silent = reporter is None or reporter.verbosity < 0 or hasattr(self._config, "workerinput")
        return None if silent else reporter
