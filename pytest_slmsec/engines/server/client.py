"""JSON over HTTP with timeouts, retries with exponential backoff and jitter, and errors of one sentence.

Repeated: broken connections and streams, and what `responses` says. Repeated once only: timeouts.
Source of the waits: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), full jitter.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import replace
from typing import Any

import httpx2

from pytest_slmsec.engines.common.settings import ServerSettings
from pytest_slmsec.engines.server.address import Address, Key
from pytest_slmsec.engines.server.environment import check_certificates, proxy_for, untrusted_remedy, unusable
from pytest_slmsec.engines.server.errors import RetriesExhausted, WaitTooLong
from pytest_slmsec.engines.server.event_stream import TextWatch
from pytest_slmsec.engines.server.rate_limit import Patience, RateLimit
from pytest_slmsec.engines.server.responses import Failure, JsonAnswer, Received, ResponseReader

LONGEST_BACKOFF_S = 60.0
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
RARELY_TRIED = 2
"""Attempts where another one costs much (a timeout) or is unlikely to help (an HTML page)."""
JSON = {"Content-Type": "application/json"}


class Client:
    """Sends requests to one server. Must be made, used and closed inside one event loop.

    Args:
        notices: gets a line for each wait that is worth telling.

    Attributes:
        limit: what the server's rate limits have cost so far.

    Raises:
        UsageError: a proxy or a file of certificates that the environment names cannot be used.
    """

    def __init__(self, address: Address, key: Key, settings: ServerSettings, notices: list[str]) -> None:
        self._address, self._settings = address, settings
        self._reader = ResponseReader(address.place, key)
        params = httpx2.QueryParams(address.query) if address.query else None
        limits = httpx2.Limits(max_connections=settings.concurrency, max_keepalive_connections=settings.concurrency)
        self.limit = RateLimit(address.place, notices)
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

    def _exhausted(self, failure: Failure, attempts: int) -> RetriesExhausted:
        times = f" (tried {attempts} times)" if attempts > 1 else ""
        return RetriesExhausted(f"{self._address.place} {failure.why}{times}", failure.connected, failure.remedy)

    async def _attempt(self, method: str, path: str, body: dict[str, Any] | None) -> JsonAnswer | Failure:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                content = None if body is None else json.dumps(body).encode("ascii")
                async with self._http.stream(
                    method, self._address.url + path, content=content, headers=JSON
                ) as response:
                    received = await _read(response, started)
        except (TimeoutError, httpx2.TimeoutException):
            return Failure(f"gave no answer within {self._settings.timeout_s:g} s", rarely=True)
        except (httpx2.ConnectError, httpx2.ProxyError) as error:
            return self._unreachable(_reason(error))
        except httpx2.TransportError as error:
            return Failure(f"broke the connection off: {_reason(error)}")
        return self._reader.checked(received)

    def _unreachable(self, reason: str) -> Failure:
        if UNTRUSTED in reason:
            why = f"has a certificate that is not trusted here ({reason.partition(': ')[2] or reason})"
            return Failure(why, rarely=True, connected=False, remedy=untrusted_remedy())
        proxy = proxy_for(self._address)
        if proxy is None:
            return Failure(f"cannot be reached: {reason}", connected=False)
        why = f"cannot be reached through {proxy}: {reason}"
        return Failure(why, connected=False, remedy=proxy.remedy(self._address.host))


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


async def _read(response: httpx2.Response, started: float) -> Received:
    """Read a response to its end, and watch when its first piece of text comes."""
    watch, chunks = TextWatch(response.headers.get("content-type", "")), []
    async for chunk in response.aiter_bytes():
        watch.feed(chunk, time.perf_counter() - started)
        chunks.append(chunk)
    seconds = time.perf_counter() - started
    return Received(response.status_code, response.headers, b"".join(chunks), seconds, watch.first_s, watch.pieces)
