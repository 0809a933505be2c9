"""JSON over HTTP with timeouts, retries with exponential backoff and jitter, and errors of one sentence.

Repeated: 408, 429 (after the time in Retry-After), 5xx and broken connections. Repeated once only: timeouts and answers
that are not JSON.
Source of the waits: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), full jitter; Retry-After: RFC 9110
section 10.2.3.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.engines.common.settings import ServerSettings
from pytest_slmsec.engines.server.address import Address, Key
from pytest_slmsec.engines.server.error_answers import error_in, message_in

LONGEST_QUOTE = 200
RARELY_TRIED = 2
"""Attempts where another one costs much (a timeout) or is unlikely to help (an HTML page)."""
TOO_MANY = 429
RETRIED = (408, TOO_MANY)
WAIT_IN_WORDS = re.compile(
    r"(?:try again|retry|wait)(?: in| after| for)? (?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?) ?s)?", re.IGNORECASE
)
"""In ``Please try again in 1m5s.``, ``Please retry after 26 seconds.``, ``Please retry in 34.07s.``"""
JSON = {"Content-Type": "application/json"}


class ServerError(EngineError):
    """A request failed. The message is one sentence; it does not name the item."""


class RequestRefused(ServerError):
    """The server refused the request with a 4xx status that a repetition does not change.

    Attributes:
        status: the HTTP status. said: the server's message, shortened, without the key.
    """

    def __init__(self, text: str, status: int, said: str) -> None:
        super().__init__(text)
        self.status, self.said = status, said


class KeyRefused(RequestRefused):
    """The server refused the API key (401 or 403)."""


class RetriesExhausted(ServerError):
    """Every attempt failed. `connected` is False if no connection could be made at all."""

    def __init__(self, text: str, connected: bool = True) -> None:
        super().__init__(text)
        self.connected = connected


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A JSON object, and the wall seconds of the request that returned it; earlier attempts are not counted."""

    value: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Failure:
    """A failure after which the request may be repeated.

    Attributes:
        why: the end of a sentence that begins with the server's address. wait_s: seconds in Retry-After, or None.
        rarely: at most `RARELY_TRIED` attempts. connected: see `RetriesExhausted`.
    """

    why: str
    wait_s: float | None = None
    rarely: bool = False
    connected: bool = True


class Client:
    """Sends requests to one server. Must be made, used and closed inside one event loop."""

    def __init__(self, address: Address, key: Key, settings: ServerSettings) -> None:
        self._address, self._key, self._settings = address, key, settings
        params = httpx2.QueryParams(address.query) if address.query else None
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        self._http = httpx2.AsyncClient(
            headers=key.headers(), params=params, limits=limits, timeout=settings.timeout_s,
            trust_env=not address.is_local,
        )  # fmt: skip

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def get(self, path: str, attempts: int | None = None) -> JsonAnswer:
        """GET a JSON object; see `post`."""
        return await self._request("GET", path, None, attempts)

    async def post(self, path: str, body: dict[str, Any], attempts: int | None = None) -> JsonAnswer:
        """POST JSON and get a JSON object.

        Args:
            attempts: most attempts; None for the number in the settings.

        Raises:
            RequestRefused, KeyRefused, RetriesExhausted: see these classes.
        """
        return await self._request("POST", path, body, attempts)

    async def _request(self, method: str, path: str, body: dict[str, Any] | None, attempts: int | None) -> JsonAnswer:
        most, rare, attempt = attempts or self._settings.attempts, 0, 1
        while True:
            found = await self._attempt(method, path, body)
            if isinstance(found, JsonAnswer):
                return found
            rare += found.rarely
            wait = self._wait(attempt, found)
            if attempt == most or rare == RARELY_TRIED or wait is None:
                times = f" (tried {attempt} times)" if attempt > 1 else ""
                raise RetriesExhausted(f"{self._address.place} {found.why}{times}", found.connected)
            await asyncio.sleep(wait)
            attempt += 1

    def _wait(self, attempt: int, trouble: _Failure) -> float | None:
        """Seconds to wait before the next attempt; None if Retry-After asks for more than the longest wait."""
        if trouble.wait_s is not None:
            return trouble.wait_s if trouble.wait_s <= self._settings.longest_wait_s else None
        most = min(self._settings.backoff_s * 2 ** (attempt - 1), self._settings.longest_wait_s)
        return random.uniform(0, most)

    async def _attempt(self, method: str, path: str, body: dict[str, Any] | None) -> JsonAnswer | _Failure:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                content = None if body is None else json.dumps(body).encode("ascii")
                response = await self._http.request(method, self._address.url + path, content=content, headers=JSON)
        except (TimeoutError, httpx2.TimeoutException):
            return _Failure(f"gave no answer within {self._settings.timeout_s:g} s", rarely=True)
        except httpx2.ConnectError as error:
            return _Failure(f"cannot be reached: {_reason(error)}", connected=False)
        except httpx2.TransportError as error:
            return _Failure(f"broke the connection off: {_reason(error)}")
        return self._checked(response, time.perf_counter() - started)

    def _checked(self, response: httpx2.Response, seconds: float) -> JsonAnswer | _Failure:
        """The JSON object of a response, or what went wrong.

        Raises:
            RequestRefused, KeyRefused: the status says so, or an error inside an answer of status 200.
        """
        if response.status_code >= 300:
            return self._failed(response.status_code, self._said(response), _retry_after(response))
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            return _Failure(f"answered {_kind(response)} instead of JSON", rarely=True)
        if not isinstance(value, dict):
            return _Failure("answered JSON that is no object", rarely=True)
        error = error_in(value)
        if error is not None:
            said = self._quoted(error.said)
            if error.status is None:
                return _Failure(f"answered with an error: {said}", rarely=True)
            return self._failed(error.status, said, _retry_after(response))
        return JsonAnswer(self._key.removed(value), seconds)

    def _failed(self, status: int, said: str, retry_after_s: float | None) -> _Failure:
        """A failure that may be repeated.

        Raises:
            RequestRefused, KeyRefused: a repetition would not help.
        """
        if status in RETRIED or status >= 500:
            wait_s = retry_after_s if retry_after_s is not None or status != TOO_MANY else _wait_in(said)
            return _Failure(f"answered {status}{': ' + said if said else ''}", wait_s)
        if status in (401, 403):
            raise KeyRefused(
                f"{self._address.place} refused the key ({status}): put the right one into the environment variable "
                "SLMSEC_API_KEY, or name the variable that holds it with --slmsec-api-key-env.", status, "",
            )  # fmt: skip
        if 300 <= status < 400:
            raise RequestRefused(f"{self._address.place} redirects to another address ({status}), which is not "
                                 "followed: give the final one as --slmsec-base-url.", status, "")  # fmt: skip
        raise RequestRefused(f"{self._address.place} refused the request ({status}): {said or 'no reason given'}",
                             status, said)  # fmt: skip

    def _said(self, response: httpx2.Response) -> str:
        """The server's message in one short line without the key; empty for an HTML page."""
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            return "" if _kind(response) == "HTML" else self._quoted(response.text)
        return self._quoted(message_in(value))

    def _quoted(self, text: str) -> str:
        """One printable line. The key is removed before the text is shortened, so that no part of it remains."""
        clean = "".join(char if char.isprintable() else " " for char in self._key.removed(text))
        return " ".join(clean.split())[:LONGEST_QUOTE].rstrip(".")


def _kind(response: httpx2.Response) -> str:
    if not response.content.strip():
        return "nothing"
    start = response.content.lstrip()[:1]
    if start == b"<":
        return "HTML"
    return "damaged text" if start in b"[{" else "other text"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds in the header Retry-After (a number or a date); None if it is missing or invalid.

    ``retry-after-ms``, which OpenAI and Azure send as well, is more exact.
    """
    milliseconds = response.headers.get("retry-after-ms", "").strip()
    if milliseconds.isascii() and milliseconds.isdecimal():
        return int(milliseconds) / 1000
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def _wait_in(said: str) -> float | None:
    """Seconds that a message about a rate limit asks to wait; None if it names no time."""
    found = WAIT_IN_WORDS.search(said)
    if found is None:
        return None
    hours, minutes, seconds = (float(text or 0) for text in found.groups())
    return 3600 * hours + 60 * minutes + seconds or None
