"""An event loop in its own thread, so that synchronous callers, also inside another event loop, can use it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
MEANWHILE_S = 0.5


def wait_for(future: Future[Any], meanwhile: Callable[[], None]) -> None:
    """Wait until a future is done, whatever its outcome; call `meanwhile` every `MEANWHILE_S` seconds."""
    while not wait([future], MEANWHILE_S).done:
        meanwhile()
    meanwhile()


class LoopThread:
    """Runs coroutines for synchronous callers until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slmsec-server", daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine. Cancelling the future cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, coroutine: Coroutine[Any, Any, T], meanwhile: Callable[[], None] | None = None) -> T:
        """Run a coroutine and return its result. An exception in the caller, such as Ctrl-C, cancels it.

        Args:
            meanwhile: called in this thread every `MEANWHILE_S` seconds until the coroutine ends.
        """
        future = self.submit(coroutine)
        try:
            if meanwhile is not None:
                wait_for(future, meanwhile)
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Stop the loop and wait for its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
