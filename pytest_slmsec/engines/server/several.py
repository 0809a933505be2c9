"""Several servers that run one model, asked as if they were one.

A request goes to the server with the fewest requests in flight. A server that cannot be reached, or fails many
requests in a row, is left out, and its requests go to the others. After a while it is asked again, first whether it
still runs the same model.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pytest_slmsec.engines.server.client import Client
from pytest_slmsec.engines.server.dialect import (
    Dialect,
    ListedModel,
    Parameters,
    PromptLogprobs,
    TextAnswer,
    TextRequest,
)
from pytest_slmsec.engines.server.errors import RetriesExhausted, ServerError, WaitTooLong

FIRST_PAUSE_S, LONGEST_PAUSE_S = 15.0, 300.0
"""How long a server is left out the first time; twice as long each time after it, until it answers."""
FEWEST_FAILURES = 8
"""After at least so many failed requests in a row, a server counts as down, and no more are sent to it."""
FEW_ATTEMPTS = 2
"""How often a request is sent to a server while there are others to send it to."""
Found = TypeVar("Found")
Check = Callable[[Dialect], Awaitable[str | None]]
"""Asks a server that was away what it runs, and says how that differs from before; None: it does not."""


@dataclass(slots=True)
class Member:
    """One of several servers.

    Attributes:
        slots: a request holds one of them while it is in flight. waiting: requests that hold one or wait for it.
        failures: failed requests in a row. away: why it is left out, or None. is_asked: it is being asked whether it is
            back. asked_again_at: when that is due (`time.monotonic`). pause_s: how long it is left out the next time.
    """

    place: str
    client: Client
    dialect: Dialect
    slots: asyncio.Semaphore
    waiting: int = 0
    failures: int = 0
    is_asked: bool = False
    away: str | None = None
    asked_again_at: float = 0.0
    pause_s: float = FIRST_PAUSE_S

    @property
    def is_due(self) -> bool:
        """Whether requests may be sent to it, or it may be asked whether it is back."""
        return self.away is None or (time.monotonic() >= self.asked_again_at and not self.is_asked)

    def leave_out(self, why: str) -> None:
        """Send it nothing for a while."""
        self.away, self.failures = why, 0
        self.asked_again_at = time.monotonic() + self.pause_s
        self.pause_s = min(2 * self.pause_s, LONGEST_PAUSE_S)


@dataclass
class Servers:
    """All servers of a model. Used and closed inside one event loop.

    Attributes:
        notices: lines for the user, oldest first.
    """

    members: Sequence[Member]
    notices: list[str] = field(default_factory=list)
    check: Check | None = None

    @property
    def place(self) -> str:
        """Host, port and path of each, for records and messages; the order in which they were named does not count."""
        return ", ".join(sorted(member.place for member in self.members))

    @property
    def dialect(self) -> Dialect:
        """The API of the only server, or of all as if they were one."""
        return self.members[0].dialect if len(self.members) == 1 else SpreadDialect(self)

    async def close(self) -> None:
        """Close all connections."""
        for member in self.members:
            await member.client.close()

    def leave_out(self, member: Member, error: ServerError) -> None:
        """Send a server nothing for a while, and say so. Of several requests that fail at once, one counts."""
        if member.away is None:
            self.notices.append(f"{member.place} is left out for now: {error}")
            member.leave_out(str(error))

    async def ask(self, send: Callable[[Dialect, int | None], Awaitable[Found]], attempts: int | None) -> Found:
        """Send a request to one server after the other until one answers it.

        Args:
            send: sends it with at most so many attempts, or as many as the settings say.

        Raises:
            RetriesExhausted: none of them answered. ServerError: one refused it, as the others would.
        """
        left = [member for member in self.members if member.is_due] or list(self.members)
        failed: RetriesExhausted | None = None
        while left:
            member = min(left, key=lambda one: one.waiting)
            left.remove(member)
            try:
                async with _slot(member):
                    if member.away is None or await self._is_back(member):
                        found = await send(member.dialect, _fewer(attempts) if left else attempts)
                        member.failures = 0
                        return found
                    failed = failed or RetriesExhausted(member.away, connected=False)
            except RetriesExhausted as error:
                failed = error
                member.failures += 1
                if not error.connected or isinstance(error, WaitTooLong) or member.failures >= FEWEST_FAILURES:
                    self.leave_out(member, error)
        assert failed is not None
        raise failed

    async def _is_back(self, member: Member) -> bool:
        """Whether a server that was left out answers again, as the same model."""
        if self.check is None or member.is_asked:
            return False
        member.is_asked = True
        try:
            other = await self.check(member.dialect)
        except ServerError as error:
            member.leave_out(str(error))
            return False
        finally:
            member.is_asked = False
        if other is not None:
            if other != member.away:
                self.notices.append(f"{member.place} stays left out: {other}")
            member.leave_out(other)
            return False
        self.notices.append(f"{member.place} answers again")
        member.away, member.pause_s = None, FIRST_PAUSE_S
        return True


@asynccontextmanager
async def _slot(member: Member) -> AsyncIterator[None]:
    """Hold a slot of a server, and count among those who wait for one."""
    member.waiting += 1
    try:
        async with member.slots:
            yield
    finally:
        member.waiting -= 1


def _fewer(attempts: int | None) -> int:
    return FEW_ATTEMPTS if attempts is None else min(attempts, FEW_ATTEMPTS)


class SpreadDialect:
    """The API of several servers as one `dialect.Dialect`. All of them have been probed and found alike."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._first = next((member for member in servers.members if member.away is None), servers.members[0]).dialect
        self.engine, self.tops = self._first.engine, self._first.tops

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Decoding parameters as they are sent."""
        return self._first.parameters

    def thinking_forms(self, asked: str) -> list[Parameters]:
        """As for one server."""
        return self._first.thinking_forms(asked)

    def variable_forms(self, name: str, value: Any) -> list[Parameters]:
        """As for one server."""
        return self._first.variable_forms(name, value)

    def streaming_forms(self) -> list[Parameters]:
        """As for one server."""
        return self._first.streaming_forms()

    async def list_models(self) -> list[ListedModel] | None:
        """The models of any of them."""
        return await self._servers.ask(lambda dialect, attempts: dialect.list_models(), None)

    async def generate(self, ask: TextRequest, attempts: int | None = None) -> TextAnswer:
        """Ask any of them."""
        return await self._servers.ask(lambda dialect, most: dialect.generate(ask, most), attempts)

    async def generate_adapting(self, ask: TextRequest) -> TextAnswer:
        """Ask any of them."""
        return await self._servers.ask(lambda dialect, most: dialect.generate_adapting(ask), None)

    async def prompt_logprobs(self, text: str, attempts: int | None = None) -> PromptLogprobs | None:
        """Ask any of them."""
        return await self._servers.ask(lambda dialect, most: dialect.prompt_logprobs(text, most), attempts)
