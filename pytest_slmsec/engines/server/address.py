"""The base URL of a server, which may be recorded, and its API key, which may not."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import ServerSettings

KEY_VARIABLES = ("SLMSEC_API_KEY", "OPENAI_API_KEY")
SHORTEST_SECRET = 8
"""Characters. Shorter keys (``EMPTY``, ``none``) are placeholders: replacing them in answers would damage the text."""
OPTION = "--slmsec-base-url"
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Address:
    """A base URL without credentials.

    Attributes:
        url: scheme, host, port and path; the paths of the API are appended to it.
        query: the query string of the URL, sent with every request and never recorded.
    """

    url: str
    query: str = ""

    @property
    def place(self) -> str:
        """Host, port and path, for records and messages."""
        return self.url.split("://", 1)[1]

    @property
    def host(self) -> str:
        """The host name or address, without the port."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_local(self) -> bool:
        """Whether the host is this machine; proxies of the environment are then not used."""
        return self.host in LOOPBACK

    @classmethod
    def parse(cls, text: str, default_path: str = "") -> Address:
        """An address as the user wrote it.

        Args:
            text: an http or https URL.
            default_path: path to use if the URL has none.

        Raises:
            UsageError: `text` is not an http URL, or holds a user name or password.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
        except ValueError:
            raise UsageError(f"{OPTION} is no URL: write http://HOST:PORT/v1.") from None
        if parts.username is not None or parts.password is not None:
            raise UsageError(
                f"{OPTION} holds a name or password, which would end up in records: leave it out, and put the key "
                f"into the environment variable {KEY_VARIABLES[0]}."
            )
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise UsageError(f"{OPTION}={parts.scheme}:{parts.path}: write http://HOST:PORT/v1 or https://HOST/v1.")
        path = parts.path.rstrip("/") or default_path
        return cls(urlunsplit((parts.scheme, parts.netloc, path, "", "")), parts.query)


def addresses_of(spec: ModelSpec, settings: ServerSettings, default: str | None, default_path: str) -> list[Address]:
    """The servers of a model: the URLs of its registry entry, else those of the run, else `default`.

    Raises:
        UsageError: no URL is known, or one is not valid.
    """
    urls = spec.base_url or settings.base_url or default
    if urls is None:
        raise UsageError(
            f"{spec.name}: give the address of the server with {OPTION}=URL (for example http://localhost:8000/v1), "
            "with SLMSEC_BASE_URL, or as `base_url` of the model's registry entry."
        )
    return [Address.parse(url, default_path) for url in ([urls] if isinstance(urls, str) else urls)]


class Key:
    """An API key whose `repr` hides it and which can be removed from anything that a server sends."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Key(...)" if self._text else "Key()"

    def __bool__(self) -> bool:
        return bool(self._text)

    def headers(self) -> dict[str, str]:
        """HTTP headers that carry the key; none without a key."""
        return {"Authorization": f"Bearer {self._text}"} if self._text else {}

    def removed(self, value: Any) -> Any:
        """`value` (JSON data) with the key replaced by ``[key]``: servers repeat it in errors and answers."""
        if len(self._text) < SHORTEST_SECRET:
            return value
        if isinstance(value, str):
            return value.replace(self._text, "[key]")
        if isinstance(value, list):
            return [self.removed(inner) for inner in value]
        if isinstance(value, dict):
            return {self.removed(name): self.removed(inner) for name, inner in value.items()}
        return value


def keys_of(spec: ModelSpec, settings: ServerSettings, defaults: tuple[str, ...], servers: int) -> list[Key]:
    """The keys of `servers` servers of a model, each from the environment; see `key_of`."""
    named = spec.key_variable or settings.key_variable
    names = named if isinstance(named, tuple) else (named,) * servers
    return [key_of(spec, name, defaults) for name in names]


def key_of(spec: ModelSpec, named: str | None, defaults: tuple[str, ...]) -> Key:
    """The key from the environment; an empty key if no variable holds one.

    Args:
        named: the variable that the registry entry or the run names, or None.
        defaults: variables to read where none is named.

    Raises:
        UsageError: the named variable is not set, or its value cannot be sent in a header.
    """
    name = named or next((name for name in defaults if os.environ.get(name)), "")
    text = os.environ.get(name, "").strip() if name else ""
    if named and not text:
        raise UsageError(f"{spec.name}: the environment variable that is named to hold the key is not set.")
    if not (text.isascii() and text.isprintable()):
        raise UsageError(f"{spec.name}: the environment variable of the key holds characters that no key has.")
    return Key(text)
