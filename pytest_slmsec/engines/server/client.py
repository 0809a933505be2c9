"""JSON over HTTP: retries with exponential backoff and jitter, timeouts, and one sentence for whatever goes wrong.

Retried: 408, 429 (after as long as Retry-After says), 5xx and broken connections; once only: timeouts and what is no
JSON.
Source of the waits: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), full jitter; Retry-After: RFC 9110
section 10.2.3.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.engines.common.settings import ServerSettings
from pytest_slmsec.engines.server.address import Address, Key

LONGEST_QUOTE = 200
RARELY_TRIED = 2
"""Where another attempt costs much (a timeout) or promises little (an HTML page)."""
RETRIED = (408, 429)
JSON = {"Content-Type": "application/json"}


class ServerError(EngineError):
    """A request that a server did not answer; the message is one sentence without the item."""


class Refused(ServerError):
    """The server understood and said no: a status of 4xx that no repetition changes.

    Attributes:
        status: of HTTP. said: the server's own words.
    """

    def __init__(self, text: str, status: int, said: str) -> None:
        super().__init__(text)
        self.status, self.said = status, said


class KeyRefused(Refused):
    """401 or 403."""


class GaveUp(ServerError):
    """Every repetition failed. `connected` is False where there was never a connection."""

    def __init__(self, text: str, connected: bool = True) -> None:
        super().__init__(text)
        self.connected = connected


@dataclass(frozen=True, slots=True)
class Answered:
    """A JSON object, and the seconds from sending the request (the last one, where it was repeated) to its end."""

    value: dict[str, Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a request should be repeated. `wait_s`: what Retry-After says. `rarely`: see `RARELY_TRIED`. `connected`: see
    `GaveUp`."""

    why: str
    wait_s: float | None = None
    rarely: bool = False
    connected: bool = True


class Client:
    """Asks one server. Made, used and closed inside one event loop."""

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

    async def get(self, path: str, attempts: int | None = None) -> Answered:
        """GET a JSON object; see `post`."""
        return await self._ask("GET", path, None, attempts)

    async def post(self, path: str, body: dict[str, Any], attempts: int | None = None) -> Answered:
        """POST JSON and get a JSON object.

        Args:
            attempts: most requests; None for what the settings say.

        Raises:
            Refused, KeyRefused, GaveUp: see there.
        """
        return await self._ask("POST", path, body, attempts)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None, attempts: int | None) -> Answered:
        most, rare, attempt = attempts or self._settings.attempts, 0, 1
        while not isinstance(found := await self._once(method, path, body), Answered):
            rare += found.rarely
            wait = self._wait(attempt, found)
            if attempt == most or rare == RARELY_TRIED or wait is None:
                times = f" (tried {attempt} times)" if attempt > 1 else ""
                raise GaveUp(f"{self._address.place} {found.why}{times}", found.connected)
            await asyncio.sleep(wait)
            attempt += 1
        return found

    def _wait(self, attempt: int, trouble: _Trouble) -> float | None:
        """Seconds to wait before the next attempt; None: longer than anybody wants to."""
        if trouble.wait_s is not None:
            return trouble.wait_s if trouble.wait_s <= self._settings.longest_wait_s else None
        most = min(self._settings.backoff_s * 2 ** (attempt - 1), self._settings.longest_wait_s)
        return random.uniform(0, most)

    async def _once(self, method: str, path: str, body: dict[str, Any] | None) -> Answered | _Trouble:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                content = None if body is None else json.dumps(body).encode("ascii")
                response = await self._http.request(method, self._address.url + path, content=content, headers=JSON)
        except (TimeoutError, httpx2.TimeoutException):
            return _Trouble(f"gave no answer within {self._settings.timeout_s:g} s", rarely=True)
        except httpx2.ConnectError as error:
            return _Trouble(f"cannot be reached: {_reason(error)}", connected=False)
        except httpx2.TransportError as error:
            return _Trouble(f"broke the connection off: {_reason(error)}")
        return self._judged(response, time.perf_counter() - started)

    def _judged(self, response: httpx2.Response, seconds: float) -> Answered | _Trouble:
        status = response.status_code
        if status in RETRIED or status >= 500:
            said = self._said(response)
            return _Trouble(f"answered {status}{': ' + said if said else ''}", _retry_after(response))
        if status in (401, 403):
            raise KeyRefused(
                f"{self._address.place} refused the key ({status}): put the right one into the environment variable "
                "SLMSEC_API_KEY, or name the variable that holds it with --slmsec-api-key-env.", status, "",
            )  # fmt: skip
        if 300 <= status < 400:
            raise Refused(f"{self._address.place} redirects to another address ({status}), which is not followed: give "
                          "the final one as --slmsec-base-url.", status, "")  # fmt: skip
        if status >= 400:
            said = self._said(response)
            raise Refused(f"{self._address.place} refused the request ({status}): {said or 'no reason given'}",
                          status, said)  # fmt: skip
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            return _Trouble(f"answered {_kind(response)} instead of JSON", rarely=True)
        if not isinstance(value, dict):
            return _Trouble("answered JSON that is no object", rarely=True)
        return Answered(self._key.removed(value), seconds)

    def _said(self, response: httpx2.Response) -> str:
        """The server's own words, short and without the key; nothing of an HTML page."""
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            return "" if _kind(response) == "HTML" else self._quoted(response.text)
        for name in ("error", "message", "detail"):
            value = value.get(name, value) if isinstance(value, dict) else value
        return self._quoted(value if isinstance(value, str) else json.dumps(value))

    def _quoted(self, text: str) -> str:
        """One printable line. The key goes before anything is cut, lest a part of it stay."""
        clean = "".join(char if char.isprintable() else " " for char in self._key.removed(text))
        return " ".join(clean.split())[:LONGEST_QUOTE].rstrip(".")


def _kind(response: httpx2.Response) -> str:
    if not response.content.strip():
        return "nothing"
    start = response.content.lstrip()[:1]
    return "HTML" if start == b"<" else "damaged text" if start in b"[{" else "other text"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _retry_after(response: httpx2.Response) -> float | None:
    """Seconds that Retry-After asks for; None where it says nothing that can be used."""
    text = response.headers.get("retry-after", "").strip()
    if not text:
        return None
    if text.replace(".", "", 1).isdecimal() and text.isascii():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
