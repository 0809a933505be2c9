"""Connects to a server, and makes the engine over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pytest_slmsec.core.errors import ModelError, ModelUnavailable, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.server.address import Address, Key
from pytest_slmsec.engines.server.client import Client
from pytest_slmsec.engines.server.dialect import Dialect
from pytest_slmsec.engines.server.engine import ServerEngine
from pytest_slmsec.engines.server.errors import RetriesExhausted, ServerError
from pytest_slmsec.engines.server.loop import LoopThread
from pytest_slmsec.engines.server.probe import probe
from pytest_slmsec.engines.server.rate_limit import Notices
from pytest_slmsec.engines.server.thinking import probe_thinking


def start(
    spec: ModelSpec, settings: EngineSettings, address: Address, key: Key, speak: Callable[[Client], Dialect]
) -> ServerEngine:
    """Connect to a server, probe it, and make the engine.

    Args:
        speak: makes the API of the server over a client.

    Raises:
        ModelUnavailable: no connection can be made, or the environment names a proxy or certificates that cannot be
            used. ModelError: the server fails, has no such model, or answers as
            another one.
    """
    loop = LoopThread()
    client = None
    try:
        client = loop.call(_client(address, key, settings))
        dialect = speak(client)
        told = Notices(client.limit, settings.notice).tell
        facts = loop.call(probe(dialect, spec.location, address.place, spec.expected_model, spec.stream), told)
        if facts.chat:
            context = spec.context_tokens or (facts.listed.context_tokens if facts.listed else None)
            asking = probe_thinking(dialect, settings.thinking, address.place, bool(facts.chat_top), context)
            facts = replace(facts, thinking=loop.call(asking, told))
        return ServerEngine(spec, settings, address.place, loop, client, dialect, facts)
    except BaseException as error:
        if client is not None:
            loop.call(client.close())
        loop.close()
        if isinstance(error, RetriesExhausted) and not error.connected:
            remedy = error.remedy or "start the server, or give its address with --slmsec-base-url=URL"
            raise ModelUnavailable(f"{spec.name}: {error}; {remedy}.") from None
        if isinstance(error, UsageError):
            raise ModelUnavailable(f"{spec.name}: {error}") from None
        if isinstance(error, (ServerError, ModelError)):
            raise ModelError(f"{spec.name}: {str(error).rstrip('.')}.{_hint(error)}") from None
        raise


async def _client(address: Address, key: Key, settings: EngineSettings) -> Client:
    return Client(address, key, settings.server)


def _hint(error: Exception) -> str:
    wrong_page = isinstance(error, RetriesExhausted) and "instead of JSON" in str(error)
    return " Is the base URL right? That of most servers ends in /v1." if wrong_page else ""
