"""Connects to the server of a model, or to several of them, and makes the engine over it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from pytest_slmsec.core.errors import ModelError, ModelUnavailable, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.server.address import Address, Key
from pytest_slmsec.engines.server.client import Client
from pytest_slmsec.engines.server.dialect import Dialect
from pytest_slmsec.engines.server.engine import ServerEngine
from pytest_slmsec.engines.server.errors import RetriesExhausted, ServerError
from pytest_slmsec.engines.server.facts import ServerFacts
from pytest_slmsec.engines.server.loop import LoopThread
from pytest_slmsec.engines.server.probe import probe, says_now
from pytest_slmsec.engines.server.rate_limit import Notices
from pytest_slmsec.engines.server.several import Member, Servers
from pytest_slmsec.engines.server.thinking import probe_thinking

STREAMED = ("chat_streaming", "raw_streaming")
MUST_BE_EQUAL = ("chat", "raw", "system_turns", "chat_top", "raw_top", "echo", "counts", "names_endings", "thinking")
"""Of several servers, in the words of `ServerFacts`."""


def start(
    spec: ModelSpec,
    settings: EngineSettings,
    addresses: Sequence[Address],
    keys: Sequence[Key],
    speak: Callable[[Client], Dialect],
) -> ServerEngine:
    """Connect to all servers of a model, probe each, and make the engine.

    Of several servers, one that cannot be reached is left out for now, and the others must be alike.

    Args:
        keys: one for each address. speak: makes the API of a server over a client.

    Raises:
        ModelUnavailable: no connection can be made, or the environment names a proxy or certificates that cannot be
            used. ModelError: a server fails, has no such model, answers as another one, or as another one than the
            other servers do.
    """
    loop = LoopThread()
    servers = Servers([])
    try:
        servers.members = loop.call(_members(addresses, keys, settings, speak, servers.notices))
        facts = _probe_all(spec, settings, loop, servers)
        return ServerEngine(spec, settings, loop, servers, facts)
    except BaseException as error:
        loop.call(servers.close())
        loop.close()
        if isinstance(error, Exception):
            _explain(spec, error)
        raise


async def _members(
    addresses: Sequence[Address],
    keys: Sequence[Key],
    settings: EngineSettings,
    speak: Callable[[Client], Dialect],
    notices: list[str],
) -> list[Member]:
    clients = [Client(address, key, settings.server, notices) for address, key in zip(addresses, keys, strict=True)]
    slots = settings.server.concurrency
    return [
        Member(address.place, client, speak(client), asyncio.Semaphore(slots))
        for address, client in zip(addresses, clients, strict=True)
    ]


def _probe_all(spec: ModelSpec, settings: EngineSettings, loop: LoopThread, servers: Servers) -> ServerFacts:
    """What the servers can do, all the same."""
    told = Notices(servers.notices, settings.notice).tell
    found: dict[str, ServerFacts] = {}
    for member in servers.members:
        try:
            found[member.place] = _probe(spec, settings, loop, member, told)
        except RetriesExhausted as error:
            if error.connected or len(servers.members) == 1:
                raise
            servers.leave_out(member, error)
            unreachable = error
    if not found:
        raise unreachable
    facts = _alike(found)

    async def check(dialect: Dialect) -> str | None:
        now = await says_now(dialect, spec.location, facts)
        return None if now == facts.says else f"it runs another model now, {now}, and not {facts.says}"

    servers.check = check
    told()
    return facts


def _probe(
    spec: ModelSpec, settings: EngineSettings, loop: LoopThread, member: Member, told: Callable[[], None]
) -> ServerFacts:
    facts = loop.call(probe(member.dialect, spec.location, member.place, spec.expected_model, spec.stream), told)
    if not facts.chat:
        return facts
    context = spec.context_tokens or (facts.listed.context_tokens if facts.listed else None)
    asking = probe_thinking(member.dialect, settings.thinking, member.place, bool(facts.chat_top), context)
    return replace(facts, thinking=loop.call(asking, told))


def _alike(found: dict[str, ServerFacts]) -> ServerFacts:
    """The facts about several servers, by place. What only some of them stream is not streamed.

    Raises:
        ModelError: an answer would depend on which of them gives it.
    """
    (first, facts), *others = found.items()
    for place, other in others:
        ours = {**facts.says, **{name: getattr(facts, name) for name in MUST_BE_EQUAL}}
        theirs = {**other.says, **{name: getattr(other, name) for name in MUST_BE_EQUAL}}
        for name, value in ours.items():
            if value != theirs[name]:
                raise ModelError(
                    f"{first} and {place} do not run the same model in the same way ({name} is {value} and "
                    f"{theirs[name]}), so an answer would depend on which is asked: measure each by itself"
                )
        for name in STREAMED:
            if getattr(facts, name) != getattr(other, name):
                none: dict[str, Any] = {name: None}
                facts = replace(facts, **none)
    return facts


def _explain(spec: ModelSpec, error: Exception) -> NoReturn:
    """Raise an error of the servers as one of the model."""
    if isinstance(error, RetriesExhausted) and not error.connected:
        remedy = error.remedy or "start the server, or give its address with --slmsec-base-url=URL"
        raise ModelUnavailable(f"{spec.name}: {error}; {remedy}.") from None
    if isinstance(error, UsageError):
        raise ModelUnavailable(f"{spec.name}: {error}") from None
    if isinstance(error, (ServerError, ModelError)):
        raise ModelError(f"{spec.name}: {str(error).rstrip('.')}.{_hint(error)}") from None
    raise error


def _hint(error: Exception) -> str:
    wrong_page = isinstance(error, RetriesExhausted) and "instead of JSON" in str(error)
    return " Is the base URL right? That of most servers ends in /v1." if wrong_page else ""
