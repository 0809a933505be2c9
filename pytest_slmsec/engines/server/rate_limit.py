"""Waiting for a server that asks to wait: a limit of requests or tokens a minute (429 with Retry-After).

Source of Retry-After: RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

TOLD_FROM_S = 5.0
"""Shorter waits are not worth a line."""
WAIT_IN_WORDS = re.compile(
    r"(?:try again|retry|wait)(?: in| after| for)? (?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?) ?s)?", re.IGNORECASE
)
"""In ``Please try again in 1m5s.``, ``Please retry after 26 seconds.``, ``Please retry in 34.07s.``"""


class RateLimit:
    """Holds back all requests to one server until the time that it named; used inside one event loop.

    Attributes:
        notices: one line for each wait that is worth telling, oldest first; several servers may share the list.
        answered: requests that the server has answered so far.
    """

    def __init__(self, place: str, notices: list[str]) -> None:
        self._place = place
        self._open_at = 0.0
        self.notices = notices
        self.answered = 0

    async def opened(self) -> None:
        """Sleep until requests may be sent; another request may prolong the wait meanwhile."""
        while True:
            left = self._open_at - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(left)

    def hold(self, wait_s: float, why: str) -> None:
        """Send nothing for `wait_s` seconds. `why`: what the server answered."""
        until = time.monotonic() + wait_s
        longer = until - self._open_at > TOLD_FROM_S  # several requests meet the same limit at once
        self._open_at = max(until, self._open_at)
        if wait_s >= TOLD_FROM_S and longer:
            self.notices.append(f"{self._place} {why}; waiting {wait_s:.0f} s, as it asks")


class Patience:
    """How long one request has waited because the server asked it to.

    The time counts from the last answer that the server gave to anybody: a limit that lets some requests through is
    waited for as long as it does.
    """

    def __init__(self, limit: RateLimit, longest_wait_s: float) -> None:
        self._limit, self._longest_wait_s = limit, longest_wait_s
        self._answered, self._waited_s = limit.answered, 0.0

    def progressed(self) -> bool:
        """Whether the server has answered any request since the last call; the time waited is then forgotten."""
        if self._limit.answered == self._answered:
            return False
        self._answered, self._waited_s = self._limit.answered, 0.0
        return True

    def allows(self, wait_s: float) -> bool:
        """Whether to wait so many seconds more; they are counted if so."""
        if self._waited_s + wait_s > self._longest_wait_s:
            return False
        self._waited_s += wait_s
        return True


class Notices:
    """Passes notices on, each once, in the thread that waits for the answers."""

    def __init__(self, lines: list[str], notice: Callable[[str], None] | None) -> None:
        self._lines, self._notice = lines, notice
        self._told = len(self._lines)

    def tell(self) -> None:
        """Pass on what is new."""
        fresh = self._lines[self._told :]
        self._told += len(fresh)
        if self._notice is not None:
            for line in fresh:
                self._notice(line)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds in the header Retry-After (a number or a date); None if it is missing or invalid.

    ``retry-after-ms``, which OpenAI and Azure send as well, is more exact.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if milliseconds.isascii() and milliseconds.isdecimal():
        return int(milliseconds) / 1000
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def wait_in(said: str) -> float | None:
    """Seconds that a message about a rate limit asks to wait; None if it names no time."""
    found = WAIT_IN_WORDS.search(said)
    if found is None:
        return None
    hours, minutes, seconds = (float(text or 0) for text in found.groups())
    return 3600 * hours + 60 * minutes + seconds or None
