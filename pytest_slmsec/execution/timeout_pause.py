"""The timer of pytest-timeout, which stands still while a window is answered.

The first case of a window waits for the answers of the whole window. A timeout that is meant for one test would end
that case, and with it the window.

Hook reference: `TimeoutHooks` in https://github.com/pytest-dev/pytest-timeout/blob/main/pytest_timeout.py
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class TimeoutPause:
    """Plugin object that knows the timer of the running test. It does nothing where pytest-timeout is not in use."""

    def __init__(self) -> None:
        self._running: tuple[pytest.Item, Any] | None = None

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_set_timer(self, item: pytest.Item, settings: Any) -> None:
        """Note the timer, and leave setting it to pytest-timeout or another plugin."""
        self._running = item, settings

    @pytest.hookimpl(optionalhook=True, tryfirst=True)
    def pytest_timeout_cancel_timer(self) -> None:
        """Note that no timer runs."""
        self._running = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Run a block without the timer. After it, the rest of the test has its whole timeout."""
        if self._running is None:
            yield
            return
        item, settings = self._running
        item.config.hook.pytest_timeout_cancel_timer(item=item)
        try:
            yield
        finally:
            item.config.hook.pytest_timeout_set_timer(item=item, settings=settings)
