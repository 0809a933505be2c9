"""A few short requests that show what a server can do and which model it runs, sent before the first item."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Message
from pytest_slmsec.engines.server.client import KeyRefused, RequestRefused, RetriesExhausted, ServerError
from pytest_slmsec.engines.server.dialect import Dialect, ListedModel, PromptLogprobs, TextAnswer, TextRequest
from pytest_slmsec.engines.server.thinking import ServerThinking

NUMBERS = "one two three four five six seven eight nine ten"
SHORT_WORDS, LONG_WORDS = 24, 224
SYSTEM_WORDS = 200
LEAST_SYSTEM_SHARE = 0.25
"""A system turn of so many words adds at least this share of them in tokens. It may add less than a token a word, since
some templates write a text of their own into prompts without a system turn, and the turn replaces it."""
QUESTION = "Which port does HTTPS use? Answer with a number."
TEXTS = ("The port of HTTPS is", "A firewall is a device that", "Phishing mail often asks the reader to")
AGREES_WITHIN_NATS = 0.3
"""Largest difference between the log-probability of a token echoed and generated. Different kernels differ by noise; a
row that belongs to another token differs by several nats."""
OPTIONAL_ATTEMPTS = 3
NAMED = 5


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server can do.

    Attributes:
        chat, raw: it answers conversations, and raw texts. system_turns: it takes system turns in conversations.
        chat_top, raw_top: how many of the likeliest first tokens it returns for either; 0 for none.
        echo: it returns log-probabilities of prompt tokens, and they agree with those of generated tokens.
        counts: it counts prompt tokens. timed: it reports prefill and decode time.
        names_endings: it says how an answer ended (`finish_reason`).
        load_s: seconds it took to load the model, if it says so.
        model, fingerprint: the names of the model and of its build that it reports.
        expected: the name that the registry entry expects it to report, wildcards allowed; None without any.
        listed: the model's entry in the server's list. thinking: whether the model thinks, and how that is switched.
        why: pairs of an attribute that is missing and the server's message about it.
    """

    chat: bool = False
    system_turns: bool = True
    raw: bool = False
    chat_top: int = 0
    raw_top: int = 0
    echo: bool = False
    counts: bool = False
    timed: bool = False
    names_endings: bool = True
    load_s: float | None = None
    model: str | None = None
    fingerprint: str | None = None
    expected: str | None = None
    listed: ListedModel | None = None
    thinking: ServerThinking = field(default_factory=ServerThinking)
    why: tuple[tuple[str, str], ...] = ()

    @property
    def choice_mode(self) -> str:
        """How the options of a conversation are scored."""
        return "top_logprobs" if self.chat_top else "none"

    @property
    def raw_choice_mode(self) -> str:
        """How the continuations of a raw text are scored."""
        if self.echo:
            return "echo"
        return "top_logprobs" if self.raw_top else "none"

    def answers_as(self, asked: str, answered: str | None) -> bool:
        """Whether an answer is from the model that was probed. `asked`: the name in requests."""
        if self.expected is not None:
            return is_expected(self.expected, answered)
        return same_model(self.model or asked, answered)

    def reason(self, name: str) -> str:
        """The server's message about an attribute that is missing, in brackets; empty if there is none."""
        found = dict(self.why).get(name, "")
        return f" ({found})" if found else ""


async def probe(dialect: Dialect, model: str, place: str, expected: str | None = None) -> ServerFacts:
    """Find out what a server can do.

    Args:
        model: the name that the user gave. place: address of the server, for messages.
        expected: the name that the server reports for it, wildcards allowed; None for the same name.

    Raises:
        ServerError: the server does not answer, or refuses the key.
        ModelError: the server has no such model, answers as another one, or cuts prompts.
    """
    listed = await dialect.list_models()
    found: dict[str, Any] = {"listed": _entry(model, listed)}
    why: dict[str, str] = {}
    chat = await _tried(dialect.generate_adapting(_question()), why, "chat")
    raw = await _tried(dialect.generate_adapting(_text(TEXTS[0])), why, "raw")
    first = chat or raw
    if first is None:
        raise ModelError(_no_such_model(model, place, listed, why))
    found["counts"], others = await _counts(dialect, place, _question if chat is not None else _text)
    _check_names([first, *others], model, place, expected, listed)
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
        found[name] = await _top(dialect, ask, why, name) if usable is not None else 0
    found["echo"] = raw is not None and await _echo(dialect, why, bool(found["raw_top"]))
    return ServerFacts(**found, why=tuple(why.items()))


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


def _entry(model: str, listed: list[ListedModel] | None) -> ListedModel | None:
    return next((entry for entry in listed or () if same_model(model, entry.name)), None)


def same_model(asked: str, answered: str | None) -> bool:
    """Whether two names mean one model: equal, or one with a date, tag, revision or path added.

    Examples: ``gpt-4o`` answers as ``gpt-4o-2024-08-06``, ``llama3.2`` is listed as ``llama3.2:latest``, and
    ``/srv/models/model.gguf`` answers as ``model``. True if `answered` is empty.
    """
    if not answered:
        return True
    ours, theirs = (name.casefold().removesuffix(".gguf") for name in (asked, answered))
    if ours == theirs or any(theirs.startswith(ours + mark) for mark in ("-20", "@", ":latest")):
        return True
    return theirs.endswith("/" + ours) or ours.endswith("/" + theirs)


def _names(listed: list[ListedModel] | None) -> str:
    names = [entry.name for entry in listed or ()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"; it serves {', '.join(names[:NAMED])}{more}" if names else ""


def _no_such_model(model: str, place: str, listed: list[ListedModel] | None, why: dict[str, str]) -> str:
    if listed and _entry(model, listed) is None:
        near = difflib.get_close_matches(model, [entry.name for entry in listed], 1, 0.5)
        hint = f" (did you mean {near[0]}?)" if near else ""
        return f"{place} has no model {model}{hint}{_names(listed)}."
    return f"{place} answers neither conversations nor raw texts: {'; '.join(why.values())}."


def is_expected(expected: str, answered: str | None) -> bool:
    """Whether a reported name is the expected one, in which ``*``, ``?`` and ``[...]`` are wildcards.

    Case does not matter. True if the server reports none.
    """
    return not answered or fnmatchcase(answered.casefold(), expected.casefold())


def _check_names(
    answers: Sequence[TextAnswer], model: str, place: str, expected: str | None, listed: list[ListedModel] | None
) -> None:
    """Refuse a server that answers as another model, or as several in turn.

    Raises:
        ModelError: naming the model it answers as, and the registry key that allows it.
    """
    names = list(dict.fromkeys(answer.model for answer in answers if answer.model))
    if expected is not None:
        wrong = [name for name in names if not is_expected(expected, name)]
        if wrong:
            raise ModelError(f"{place} answered as {wrong[0]}, and expected_model of its entry is {expected}.")
        return
    if not names:
        return
    entry = 'its entry in [tool.slmsec.models] may say so: expected_model = "{}"'
    if _entry(model, listed) is None and not same_model(model, names[0]):
        raise ModelError(f"{place} was asked for the model {model} and answered as {names[0]}{_names(listed)}; if that "
                         f"is right, {entry.format(names[0])}.")  # fmt: skip
    other = [name for name in names[1:] if not same_model(names[0], name)]
    if other:
        raise ModelError(f"{place} answered as {names[0]} and then as {other[0]}, so answers come from several builds: "
                         f"ask for one of them, or, if either is right, {entry.format('*')}, where * is any "
                         "text.")  # fmt: skip


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


async def _top(dialect: Dialect, ask: TextRequest, why: dict[str, str], name: str) -> int:
    """How many of the likeliest first tokens the server returns; 0 for none."""
    for most in dialect.tops:
        try:
            said = await dialect.generate(replace(ask, max_new_tokens=1, top=most), OPTIONAL_ATTEMPTS)
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
    """Whether the server returns log-probabilities of prompt tokens that can be trusted."""
    try:
        if await dialect.prompt_logprobs(TEXTS[0], OPTIONAL_ATTEMPTS) is None:
            why["echo"] = "the server tells no tokens of the prompt"
            return False
        if not generates_logprobs:
            why["echo"] = "what the server tells of prompt tokens cannot be checked against generated ones"
            return False
        verdicts = [await _echo_agrees(dialect, text) for text in TEXTS]
    except ServerError as error:
        why["echo"] = str(error)
        return False
    if False in verdicts or True not in verdicts:
        why["echo"] = "log-probabilities of prompt tokens differ from those of the same tokens generated"
        return False
    return True


async def _echo_agrees(dialect: Dialect, text: str) -> bool | None:
    """Whether the next token has the same log-probability generated and echoed.

    None if the two cannot be compared, because the text followed by the token is tokenised differently.
    """
    said = await dialect.generate(TextRequest(text=text, max_new_tokens=1, top=min(dialect.tops)), OPTIONAL_ATTEMPTS)
    generated = dict(said.top or ()).get(said.text)
    before = await dialect.prompt_logprobs(text)
    after = await dialect.prompt_logprobs(text + said.text) if said.text else None
    if generated is None or before is None or after is None or not _continues(before, after):
        return None
    last = after.logprobs[-1]
    return last is not None and abs(last - generated) <= AGREES_WITHIN_NATS


def _continues(before: PromptLogprobs, after: PromptLogprobs) -> bool:
    return len(after.tokens) == len(before.tokens) + 1 and after.tokens[:-1] == before.tokens
