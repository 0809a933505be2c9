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
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.engines.common.settings import ServerSettings
from pytest_slmsec.engines.server.address import Address, Key
from pytest_slmsec.engines.server.environment import check_certificates, proxy_for, untrusted_remedy, unusable
from pytest_slmsec.engines.server.error_answers import error_in, message_in
from pytest_slmsec.engines.server.event_stream import CutOff, is_stream, whole_answer
from pytest_slmsec.engines.server.rate_limit import Patience, RateLimit

LONGEST_QUOTE = 200
LONGEST_BACKOFF_S = 60.0
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
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
    """Every attempt failed.

    Attributes:
        connected: False if no connection could be made at all. remedy: what to do, as a clause; empty if unknown.
    """

    def __init__(self, text: str, connected: bool = True, remedy: str = "") -> None:
        super().__init__(text)
        self.connected, self.remedy = connected, remedy


class WaitTooLong(RetriesExhausted):
    """The server asks to wait longer than the settings allow, and has answered no other request meanwhile."""


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
        rarely: at most `RARELY_TRIED` attempts. connected, remedy: see `RetriesExhausted`.
    """

    why: str
    wait_s: float | None = None
    rarely: bool = False
    connected: bool = True
    remedy: str = ""


class Client:
    """Sends requests to one server. Must be made, used and closed inside one event loop.

    Attributes:
        limit: what the server's rate limits have cost so far.

    Raises:
        UsageError: a proxy or a file of certificates that the environment names cannot be used.
    """

    def __init__(self, address: Address, key: Key, settings: ServerSettings) -> None:
        self._address, self._key, self._settings = address, key, settings
        params = httpx2.QueryParams(address.query) if address.query else None
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        self.limit = RateLimit(address.place)
        check_certificates(address)
        try:
            self._http = httpx2.AsyncClient(
                headers=key.headers(), params=params, limits=limits, timeout=settings.timeout_s,
                trust_env=not address.is_local,
            )  # fmt: skip
        except (ImportError, OSError, ValueError) as error:
            raise unusable(address, error) from error

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
        patience = Patience(self.limit, self._settings.longest_wait_s)
        while True:
            await self.limit.opened()
            found = await self._attempt(method, path, body)
            if isinstance(found, JsonAnswer):
                self.limit.answered += 1
                return found
            rare += found.rarely
            if found.wait_s is not None and patience.progressed():
                attempt = 1
            if attempt == most or rare == RARELY_TRIED:
                raise self._exhausted(found, attempt)
            if found.wait_s is None:
                await asyncio.sleep(random.uniform(0, self._longest_backoff(attempt)))
            elif patience.allows(found.wait_s):
                self.limit.hold(found.wait_s, found.why)
            else:
                longest = f"--slmsec-longest-wait={self._settings.longest_wait_s:g}"
                why = f"{found.why}; it asks to wait {found.wait_s:g} s, and {longest} does not allow that"
                raise WaitTooLong(str(self._exhausted(replace(found, why=why), attempt)))
            attempt += 1

    def _longest_backoff(self, attempt: int) -> float:
        """Most seconds to wait after a failed attempt for which the server named no time."""
        return min(self._settings.backoff_s * 2.0 ** (attempt - 1), LONGEST_BACKOFF_S)

    def _exhausted(self, failure: _Failure, attempts: int) -> RetriesExhausted:
        times = f" (tried {attempts} times)" if attempts > 1 else ""
        return RetriesExhausted(f"{self._address.place} {failure.why}{times}", failure.connected, failure.remedy)

    async def _attempt(self, method: str, path: str, body: dict[str, Any] | None) -> JsonAnswer | _Failure:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                content = None if body is None else json.dumps(body).encode("ascii")
                response = await self._http.request(method, self._address.url + path, content=content, headers=JSON)
        except (TimeoutError, httpx2.TimeoutException):
            return _Failure(f"gave no answer within {self._settings.timeout_s:g} s", rarely=True)
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            return self._unreachable(_reason(error))
        except httpx2.TransportError as error:
            return _Failure(f"broke the connection off: {_reason(error)}")
        return self._checked(response, time.perf_counter() - started)

    def _unreachable(self, reason: str) -> _Failure:
        if UNTRUSTED in reason:
            why = f"has a certificate that is not trusted here ({reason.partition(': ')[2] or reason})"
            return _Failure(why, rarely=True, connected=False, remedy=untrusted_remedy())
        proxy = proxy_for(self._address)
        if proxy is None:
            return _Failure(f"cannot be reached: {reason}", connected=False)
        why = f"cannot be reached through {proxy}: {reason}"
        return _Failure(why, connected=False, remedy=proxy.remedy(self._address.host))

    def _checked(self, response: httpx2.Response, seconds: float) -> JsonAnswer | _Failure:
        """The JSON object of a response, or what went wrong.

        Raises:
            RequestRefused, KeyRefused: the status says so, or an error inside an answer of status 200.
        """
        if response.status_code >= 300:
            return self._failed(response.status_code, self._said(response), _retry_after(response))
        try:
            value = _json(response)
        except CutOff:
            return _Failure("broke the stream of its answer off")
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


def _json(response: httpx2.Response) -> Any:
    """The JSON of a response, also if it came as a stream of pieces.

    Raises:
        ValueError: it is no JSON. CutOff: the stream ended before the answer did.
    """
    if is_stream(response.headers.get("content-type", ""), response.content):
        return whole_answer(response.content)
    return json.loads(response.content)


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
