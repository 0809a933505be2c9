"""What the engine asks of a server, whatever the words of its API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.server.client import ServerError

Top = tuple[tuple[str, float], ...]
"""Likeliest next tokens: their text and natural-log probability."""

LISTING_ATTEMPTS = 2
"""A server that is not there is told soon; one that just starts gets a second try."""


class Nonsense(ServerError):
    """An answer that lacks what it must have."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for text.

    Attributes:
        messages: a conversation, or () where `text` is the whole raw prompt.
        top: how many likeliest tokens to return for the first new one; 0: none.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    max_new_tokens: int = 1
    stop: tuple[str, ...] = ()
    top: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """Where a server says its time went, for one request. Tokens are those computed: cached ones are not among them."""

    prompt_tokens: int
    prefill_s: float
    new_tokens: int
    decode_s: float
    load_s: float | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. Unknown is None.

    Attributes:
        ending: ``stop``, ``length``, or the server's own word; None where it says nothing.
        model, fingerprint: what the server says it is.
        top: likeliest first tokens. seconds: wall time of the request.
    """

    text: str
    ending: str | None
    prompt_tokens: int | None
    new_tokens: int | None
    seconds: float
    model: str | None = None
    fingerprint: str | None = None
    top: Top | None = None
    spent: Spent | None = None


@dataclass(frozen=True, slots=True)
class Echoed:
    """The tokens of a prompt with their log-probabilities (None for the first), and which were the likeliest.

    `prompt_tokens`: as the server counts them.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]
    greedy: tuple[bool, ...]
    prompt_tokens: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Listed:
    """A model as the server lists it. `identity`: facts that change when the model does (plain data)."""

    name: str
    context_tokens: int | None = None
    model_bytes: int | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)


class Dialect(Protocol):
    """An API. Every method raises `ServerError`."""

    engine: str
    """Name for the record."""
    tops: tuple[int, ...]
    """Numbers of likeliest tokens to try asking for, the most first."""

    @property
    def settled(self) -> Mapping[str, Any]:
        """Parameters that were found to be accepted, changed or left out, for the record."""
        ...

    async def listed(self) -> list[Listed] | None:
        """The models there are; None where the server does not say."""
        ...

    async def say(self, ask: Ask, attempts: int | None = None) -> Said:
        """Continue a conversation or a raw text."""
        ...

    async def adapt(self, ask: Ask) -> Said:
        """As `say`, leaving out parameters that the server refuses, from now on."""
        ...

    async def echo(self, text: str, attempts: int | None = None) -> Echoed | None:
        """Log-probabilities of the tokens of `text`; None where the API has no such thing."""
        ...


def number(value: Any, kind: type[int] | type[float] = int) -> Any:
    """A JSON number of one kind that is not negative, or None."""
    fits = isinstance(value, (int, kind)) and not isinstance(value, bool)
    return kind(value) if fits and value >= 0 else None


def text_of(value: Any) -> str | None:
    """A JSON string, or None."""
    return value if isinstance(value, str) and value else None
