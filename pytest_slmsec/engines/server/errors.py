"""What can go wrong between a request to a server and its answer."""

from __future__ import annotations

from pytest_slmsec.core.errors import EngineError


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


class InvalidAnswer(ServerError):
    """The server answered with status 200, but the answer is incomplete or wrong."""
