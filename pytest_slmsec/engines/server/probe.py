"""A few short requests that show what a server can do and which model it runs, sent before the first item."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.server.dialect import Dialect, TextAnswer, TextRequest
from pytest_slmsec.engines.server.errors import KeyRefused, RequestRefused, RetriesExhausted
from pytest_slmsec.engines.server.facts import ServerFacts
from pytest_slmsec.engines.server.logprob_probe import OPTIONAL_ATTEMPTS, TEXTS, most_top, probe_echo
from pytest_slmsec.engines.server.model_names import check_names, entry_of, no_such_model
from pytest_slmsec.engines.server.streaming import SWITCHED_OFF, probe_streaming

NUMBERS = "one two three four five six seven eight nine ten"
SHORT_WORDS, LONG_WORDS = 24, 224
SYSTEM_WORDS = 200
LEAST_SYSTEM_SHARE = 0.25
"""A system turn of so many words adds at least this share of them in tokens. It may add less than a token a word, since
some templates write a text of their own into prompts without a system turn, and the turn replaces it."""
QUESTION = "Which port does HTTPS use? Answer with a number."
LONGER_QUESTION = "What is a firewall? Answer with a sentence."
LIST = "The first ten numbers are one, two, three,"


async def probe(
    dialect: Dialect, model: str, place: str, expected: str | None = None, streams: bool = True
) -> ServerFacts:
    """Find out what a server can do.

    Args:
        model: the name that the user gave. place: address of the server, for messages.
        expected: the name that the server reports for it, wildcards allowed; None for the same name.
        streams: find out whether it streams, and have answers streamed if so.

    Raises:
        ServerError: the server does not answer, or refuses the key.
        ModelError: the server has no such model, answers as another one, or cuts prompts.
    """
    listed = await dialect.list_models()
    found: dict[str, Any] = {"listed": entry_of(model, listed)}
    why: dict[str, str] = {}
    chat = await _tried(dialect.generate_adapting(_question()), why, "chat")
    raw = await _tried(dialect.generate_adapting(_text(TEXTS[0])), why, "raw")
    first = chat or raw
    if first is None:
        raise ModelError(no_such_model(model, place, listed, why))
    found["counts"], others = await _counts(dialect, place, _question if chat is not None else _text)
    check_names([first, *others], model, place, expected, listed)
    if chat is not None:
        found["system_turns"] = await _system_turns(dialect, why, chat.prompt_tokens)
    found |= {
        "expected": expected,
        "model": first.model,
        "fingerprint": first.fingerprint,
        "chat": chat is not None,
        "raw": raw is not None,
    }
    found |= {"names_endings": first.ending is not None}
    found |= {"timed": first.spent is not None, "load_s": first.spent.load_s if first.spent else None}
    for name, usable, ask in (("chat_top", chat, _question()), ("raw_top", raw, _text(TEXTS[0]))):
        found[name] = await most_top(dialect, ask, why, name) if usable is not None else 0
    for name, usable, ask in (
        ("chat_streaming", chat, _question(LONGER_QUESTION)),
        ("raw_streaming", raw, _text(LIST)),
    ):
        if usable is not None and streams:
            found[name] = await probe_streaming(dialect, ask, why, name)
        elif usable is not None:
            why[name] = SWITCHED_OFF
    found["echo"] = raw is not None and await probe_echo(dialect, why, bool(found["raw_top"]))
    return ServerFacts(**found, why=tuple(why.items()))


async def says_now(dialect: Dialect, model: str, before: ServerFacts) -> dict[str, Any]:
    """What a server that was probed before says now that the model is; see `ServerFacts.says`.

    Raises:
        ServerError: the server does not answer.
    """
    listed = entry_of(model, await dialect.list_models())
    said = await dialect.generate_adapting(_question() if before.chat else _text(TEXTS[0]))
    same = before.answers_as(model, said.model)
    name = before.model if same else said.model
    return replace(before, listed=listed, model=name, expected=before.expected if same else None,
                   fingerprint=said.fingerprint).says  # fmt: skip


def _question(text: str = QUESTION) -> TextRequest:
    return TextRequest((Message("user", text),), max_new_tokens=2)


def _text(text: str) -> TextRequest:
    return TextRequest(text=text, max_new_tokens=2)


async def _tried(asking: Awaitable[TextAnswer], why: dict[str, str], name: str) -> TextAnswer | None:
    """The answer, or None if the server refuses the request; its message is then in `why`."""
    try:
        return await asking
    except KeyRefused:
        raise
    except RequestRefused as error:
        why[name] = str(error)
        return None


async def _system_turns(dialect: Dialect, why: dict[str, str], tokens_without: int | None) -> bool:
    """Whether the server takes system turns: it neither refuses them nor leaves them out of the prompt."""
    short = await _with_system(dialect, "Be brief.", why)
    if short is None:
        return False
    long = await _with_system(dialect, _words(SYSTEM_WORDS), {})
    if long is None or long.prompt_tokens is None or tokens_without is None:
        return True  # too long a prompt, or no counts
    if long.prompt_tokens - tokens_without >= SYSTEM_WORDS * LEAST_SYSTEM_SHARE:
        return True
    why["system_turns"] = "the server counts no tokens for system turns, so it leaves them out"
    return False


async def _with_system(dialect: Dialect, text: str, why: dict[str, str]) -> TextAnswer | None:
    """The answer to a conversation with a system turn; None if the server fails at it: some answer 500 then."""
    ask = TextRequest((Message("system", text), Message("user", QUESTION)), max_new_tokens=2)
    try:
        return await _tried(dialect.generate(ask, OPTIONAL_ATTEMPTS), why, "system_turns")
    except RetriesExhausted as error:
        if not error.connected:
            raise
        why["system_turns"] = str(error)
        return None


def _words(n: int) -> str:
    words = NUMBERS.split()
    return " ".join(words[place % len(words)] for place in range(n))


async def _counts(dialect: Dialect, place: str, ask: Callable[[str], TextRequest]) -> tuple[bool, list[TextAnswer]]:
    """Whether the server counts prompt tokens, and its answers to the two requests that show it.

    Raises:
        ModelError: it counted fewer additional tokens than additional words, so it cuts prompts.
    """
    first = await dialect.generate(ask(f"Read this: {_words(SHORT_WORDS)}"))
    short = first.prompt_tokens
    if short is None:
        return False, [first]
    try:
        second = await dialect.generate(ask(f"Read all of this: {_words(LONG_WORDS)}"))
    except RequestRefused:
        return True, [first]  # the prompt is too long for this model, and the server refuses it instead of cutting it
    long = second.prompt_tokens
    if long is None or long - short < LONG_WORDS - SHORT_WORDS:
        raise ModelError(
            f"{place} counted {long} prompt tokens for {LONG_WORDS} words and {short} for {SHORT_WORDS}: it cuts "
            "prompts, or its counts are wrong; raise its context length (--ctx-size, --max-model-len, num_ctx)."
        )
    return True, [first, second]
