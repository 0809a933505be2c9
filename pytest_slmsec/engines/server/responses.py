"""What one response of a server is: an answer, a failure after which the request may be repeated, or a refusal.

Repeated: 408, 429 (after the time in Retry-After), 5xx. Repeated once only: answers that are not JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.engines.server.address import Key
from pytest_slmsec.engines.server.error_answers import error_in, message_in
from pytest_slmsec.engines.server.errors import KeyRefused, RequestRefused
from pytest_slmsec.engines.server.event_stream import CutOff, is_stream, whole_answer
from pytest_slmsec.engines.server.rate_limit import retry_after, wait_in

LONGEST_QUOTE = 200
TOO_MANY = 429
RETRIED = (408, TOO_MANY)


@dataclass(frozen=True, slots=True)
class Received:
    """One response, read to its end.

    Attributes:
        seconds: wall time since the request. first_s: the same until the first piece of a text or thought came; None
            where the answer did not come in pieces. pieces: how many of them held a text or thought.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    seconds: float
    first_s: float | None = None
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A JSON object, and the wall seconds of the request that returned it; earlier attempts are not counted.

    `first_s`, `pieces`: see `Received`.
    """

    value: dict[str, Any]
    seconds: float
    first_s: float | None = None
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure after which the request may be repeated.

    Attributes:
        why: the end of a sentence that begins with the server's address. wait_s: seconds in Retry-After, or None.
        rarely: another attempt is unlikely to help. connected, remedy: see `RetriesExhausted`.
    """

    why: str
    wait_s: float | None = None
    rarely: bool = False
    connected: bool = True
    remedy: str = ""


class ResponseReader:
    """Reads the responses of one server. `place`: its address, for messages. `key`: removed from all that it sends."""

    def __init__(self, place: str, key: Key) -> None:
        self._place, self._key = place, key

    def checked(self, response: Received) -> JsonAnswer | Failure:
        """The JSON object of a response, or what went wrong.

        Raises:
            RequestRefused, KeyRefused: the status says so, or an error inside an answer of status 200.
        """
        if response.status >= 300:
            return self._failed(response.status, self._said(response), retry_after(response.headers))
        try:
            value = _json(response)
        except CutOff:
            return Failure("broke the stream of its answer off")
        except (ValueError, RecursionError):
            return Failure(f"answered {_kind(response)} instead of JSON", rarely=True)
        if not isinstance(value, dict):
            return Failure("answered JSON that is no object", rarely=True)
        error = error_in(value)
        if error is not None:
            said = self._quoted(error.said)
            if error.status is None:
                return Failure(f"answered with an error: {said}", rarely=True)
            return self._failed(error.status, said, retry_after(response.headers))
        return JsonAnswer(self._key.removed(value), response.seconds, response.first_s, response.pieces)

    def _failed(self, status: int, said: str, retry_after_s: float | None) -> Failure:
        """A failure that may be repeated.

        Raises:
            RequestRefused, KeyRefused: a repetition would not help.
        """
        if status in RETRIED or status >= 500:
            wait_s = retry_after_s if retry_after_s is not None or status != TOO_MANY else wait_in(said)
            return Failure(f"answered {status}{': ' + said if said else ''}", wait_s)
        if status in (401, 403):
            raise KeyRefused(
                f"{self._place} refused the key ({status}): put the right one into the environment variable "
                "SLMSEC_API_KEY, or name the variable that holds it with --slmsec-api-key-env.", status, "",
            )  # fmt: skip
        if 300 <= status < 400:
            raise RequestRefused(f"{self._place} redirects to another address ({status}), which is not "
                                 "followed: give the final one as --slmsec-base-url.", status, "")  # fmt: skip
        raise RequestRefused(f"{self._place} refused the request ({status}): {said or 'no reason given'}",
                             status, said)  # fmt: skip

    def _said(self, response: Received) -> str:
        """The server's message in one short line without the key; empty for an HTML page."""
        try:
            value = json.loads(response.content)
        except (ValueError, RecursionError):
            return "" if _kind(response) == "HTML" else self._quoted(response.content.decode("utf-8", "replace"))
        return self._quoted(message_in(value))

    def _quoted(self, text: str) -> str:
        """One printable line. The key is removed before the text is shortened, so that no part of it remains."""
        clean = "".join(char if char.isprintable() else " " for char in self._key.removed(text))
        return " ".join(clean.split())[:LONGEST_QUOTE].rstrip(".")


def _json(response: Received) -> Any:
    """The JSON of a response, also if it came as a stream of pieces.

    Raises:
        ValueError: it is no JSON. CutOff: the stream ended before the answer did.
    """
    media_type = response.headers.get("content-type", "")
    if is_stream(media_type, response.content):
        return whole_answer(media_type, response.content)
    return json.loads(response.content)


def _kind(response: Received) -> str:
    if not response.content.strip():
        return "nothing"
    start = response.content.lstrip()[:1]
    if start == b"<":
        return "HTML"
    return "damaged text" if start in b"[{" else "other text"
