"""What a server can do and who it is, found out by asking it before any item is asked."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.server.client import KeyRefused, Refused, ServerError
from pytest_slmsec.engines.server.dialect import Ask, Dialect, Echoed, Listed, Said

NUMBERS = "one two three four five six seven eight nine ten"
SHORT_WORDS, LONG_WORDS = 24, 224
QUESTION = "Which port does HTTPS use? Answer with a number."
TEXTS = ("The port of HTTPS is", "A firewall is a device that", "Phishing mail often asks the reader to")
AGREES_WITHIN_NATS = 0.3
"""An echoed and a generated token come from different kernels, and differ by noise; a shifted row by several nats."""
OPTIONAL_ATTEMPTS = 3
NAMED = 5


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found.

    Attributes:
        model, fingerprint: what the server says it is. listed: its entry in the server's list.
        chat, raw: conversations and raw texts are taken.
        chat_top, raw_top: how many likeliest first tokens are told; 0: none.
        echo: log-probabilities of prompt tokens are told, and agree with those of generated tokens.
        counts: prompt tokens are told. timed: prefill and decode time are told. load_s: seconds to load the model.
        why: what is missing, by name of the attribute, and what the server said about it.
    """

    chat: bool = False
    raw: bool = False
    chat_top: int = 0
    raw_top: int = 0
    echo: bool = False
    counts: bool = False
    timed: bool = False
    load_s: float | None = None
    model: str | None = None
    fingerprint: str | None = None
    listed: Listed | None = None
    why: tuple[tuple[str, str], ...] = ()

    @property
    def choice_mode(self) -> str:
        """How the options of a conversation are scored."""
        return "top_logprobs" if self.chat_top else "none"

    @property
    def raw_choice_mode(self) -> str:
        """How the continuations of a raw text are scored."""
        return "echo" if self.echo else "top_logprobs" if self.raw_top else "none"

    def reason(self, name: str) -> str:
        """What the server said about something it does not do, in brackets; empty where it said nothing."""
        found = dict(self.why).get(name, "")
        return f" ({found})" if found else ""


async def probe(dialect: Dialect, model: str, place: str) -> Facts:
    """Ask a server what it can do.

    Args:
        model: as the user named it. place: host of the server, for messages.

    Raises:
        ServerError: it does not answer, or refuses the key.
        ModelError: it has no such model, answers as another one, or cuts prompts.
    """
    listed = await dialect.listed()
    found: dict[str, Any] = {"listed": _entry(model, listed)}
    why: dict[str, str] = {}
    chat = await _tried(dialect.adapt(_question()), why, "chat")
    raw = await _tried(dialect.adapt(_text(TEXTS[0])), why, "raw")
    first = chat or raw
    if first is None:
        raise ModelError(_useless(model, place, listed, why))
    if found["listed"] is None and not same_model(model, first.model):
        raise ModelError(f"{place} was asked for the model {model} and answered as {first.model}{_names(listed)}.")
    found |= {"model": first.model, "fingerprint": first.fingerprint, "chat": chat is not None, "raw": raw is not None}
    found |= {"timed": first.spent is not None, "load_s": first.spent.load_s if first.spent else None}
    found["counts"] = await _counts(dialect, place, _question if chat is not None else _text)
    for name, usable, ask in (("chat_top", chat, _question()), ("raw_top", raw, _text(TEXTS[0]))):
        found[name] = await _top(dialect, ask, why, name) if usable is not None else 0
    found["echo"] = raw is not None and await _echo(dialect, why, bool(found["raw_top"]))
    return Facts(**found, why=tuple(why.items()))


def _question(text: str = QUESTION) -> Ask:
    return Ask((Message("user", text),), max_new_tokens=2)


def _text(text: str) -> Ask:
    return Ask(text=text, max_new_tokens=2)


async def _tried(asking: Awaitable[Said], why: dict[str, str], name: str) -> Said | None:
    """The answer, or None where the server says that it does no such thing."""
    try:
        return await asking
    except KeyRefused:
        raise
    except Refused as error:
        why[name] = str(error)
        return None


def _entry(model: str, listed: list[Listed] | None) -> Listed | None:
    return next((entry for entry in listed or () if same_model(model, entry.name)), None)


def same_model(asked: str, answered: str | None) -> bool:
    """Whether a name is the asked one: itself, with a date, tag or revision behind it, or the file it was loaded from.

    Servers call a model what they like: ``gpt-4o`` answers as ``gpt-4o-2024-08-06``, ``llama3.2`` is listed as
    ``llama3.2:latest``, and a path is told for its last part.
    """
    if not answered:
        return True
    ours, theirs = (name.casefold().removesuffix(".gguf") for name in (asked, answered))
    if ours == theirs or any(theirs.startswith(ours + mark) for mark in ("-20", "@", ":latest")):
        return True
    return theirs.endswith("/" + ours) or ours.endswith("/" + theirs)


def _names(listed: list[Listed] | None) -> str:
    names = [entry.name for entry in listed or ()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; it serves {', '.join(names[:NAMED])}{more}" if names else ""


def _useless(model: str, place: str, listed: list[Listed] | None, why: dict[str, str]) -> str:
    if listed and _entry(model, listed) is None:
        near = difflib.get_close_matches(model, [entry.name for entry in listed], 1, 0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{place} has no model {model}{hint}{_names(listed)}."
    return f"{place} answers neither conversations nor raw texts: {'; '.join(why.values())}."


async def _counts(dialect: Dialect, place: str, ask: Callable[[str], Ask]) -> bool:
    """Whether prompt tokens are counted. Each word is a token at least, so more words are more tokens.

    Raises:
        ModelError: fewer were counted.
    """
    words = NUMBERS.split()
    texts = [" ".join(words[place % len(words)] for place in range(n)) for n in (SHORT_WORDS, LONG_WORDS)]
    short = (await dialect.say(ask(f"Read this: {texts[0]}"))).prompt_tokens
    if short is None:
        return False
    try:
        long = (await dialect.say(ask(f"Read all of this: {texts[1]}"))).prompt_tokens
    except Refused:
        return True  # too long for this model: it says so and cuts nothing
    if long is None or long - short < LONG_WORDS - SHORT_WORDS:
        raise ModelError(
            f"{place} counted {long} prompt tokens for {LONG_WORDS} words and {short} for {SHORT_WORDS}: it cuts "
            "prompts, or its counts are wrong; raise its context length (--ctx-size, --max-model-len, num_ctx)."
        )
    return True


async def _top(dialect: Dialect, ask: Ask, why: dict[str, str], name: str) -> int:
    """How many likeliest first tokens are told; 0: none."""
    for most in dialect.tops:
        try:
            said = await dialect.say(replace(ask, max_new_tokens=1, top=most), OPTIONAL_ATTEMPTS)
        except ServerError as error:
            why[name] = str(error)
            continue
        if said.top is not None and len(said.top) > 1:
            why.pop(name, None)
            return most
        why[name] = "the server leaves out the log-probabilities that were asked for"
        return 0
    return 0


async def _echo(dialect: Dialect, why: dict[str, str], generates_logprobs: bool) -> bool:
    """Whether echoed log-probabilities can be used."""
    try:
        if await dialect.echo(TEXTS[0], OPTIONAL_ATTEMPTS) is None:
            why["echo"] = "the server tells no tokens of the prompt"
            return False
        if not generates_logprobs:
            why["echo"] = "what the server tells of prompt tokens cannot be checked against generated ones"
            return False
        verdicts = [await _agrees(dialect, text) for text in TEXTS]
    except ServerError as error:
        why["echo"] = str(error)
        return False
    if False in verdicts or True not in verdicts:
        why["echo"] = "log-probabilities of prompt tokens differ from those of the same tokens generated"
        return False
    return True


async def _agrees(dialect: Dialect, text: str) -> bool | None:
    """Whether the likeliest next token has the same log-probability generated and echoed; None: it cannot be told,
    since the text with the token behind it has other tokens."""
    said = await dialect.say(Ask(text=text, max_new_tokens=1, top=min(dialect.tops)), OPTIONAL_ATTEMPTS)
    generated = dict(said.top or ()).get(said.text)
    before = await dialect.echo(text)
    after = await dialect.echo(text + said.text) if said.text else None
    if generated is None or before is None or after is None or not _continues(before, after):
        return None
    last = after.logprobs[-1]
    return last is not None and abs(last - generated) <= AGREES_WITHIN_NATS


def _continues(before: Echoed, after: Echoed) -> bool:
    return len(after.tokens) == len(before.tokens) + 1 and after.tokens[:-1] == before.tokens
