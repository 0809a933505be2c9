"""The engine over models behind a server: many requests at once, each answer kept even if others fail.

What a server does not report is null in the record (tokenizer, chat template, memory). Its weights cannot be hashed, so
the identity of the model is what the server says about it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from pytest_slmsec.core.errors import ModelError, ModelUnavailable, UsageError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.thoughts import without_thoughts
from pytest_slmsec.engines.common.base import Batch, Capability, EngineInfo, Interrupted, Timing
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.prompting.chat_template import join_system
from pytest_slmsec.engines.prompting.raw_texts import joined
from pytest_slmsec.engines.server.address import Address, Key
from pytest_slmsec.engines.server.choice_scoring import by_echo, by_first_token, is_lettered
from pytest_slmsec.engines.server.client import Client, RetriesExhausted, ServerError, WaitTooLong
from pytest_slmsec.engines.server.dialect import Dialect, GenerationTiming, InvalidAnswer, TextAnswer, TextRequest
from pytest_slmsec.engines.server.loop import LoopThread
from pytest_slmsec.engines.server.probe import ServerFacts, probe
from pytest_slmsec.engines.server.thinking import NO_CHOICE, SWITCHED_OFF, ServerThinking, probe_thinking

BATCHES_IN_FLIGHT = 4
"""A batch holds this many times as many requests as are in flight: enough to keep all connections busy, and few enough
that a killed run loses little."""
OF_THE_SERVER = "server"
"""The hash of the tokenizer and the chat template in records, since only the server knows them."""
WILDCARDS = frozenset("*?[")
"""An expected name with one of these stands for several builds; the record then has the pattern."""
UNFINISHED = "the run was interrupted before the server had answered"
FEWEST_FAILURES = 8
"""After at least so many failed requests in a row, the server counts as down and no more are sent."""


class ServerEngine:
    """Answers requests through a server; see `engines.common.base.Engine`."""

    def __init__(
        self, spec: ModelSpec, settings: EngineSettings, place: str, loop: LoopThread, client: Client, dialect: Dialect,
        facts: ServerFacts,
    ) -> None:  # fmt: skip
        self._name, self._place, self._facts = spec.location, place, facts
        self._loop, self._client, self._dialect = loop, client, dialect
        self._in_flight = settings.server.concurrency
        self._notices = _Notices(client, settings.notice)
        self._failures, self._gone = 0, ""
        self.capabilities = _capabilities(facts)
        self.info = _info(spec, settings, place, dialect, facts)

    def lacks(self, request: Request) -> str | None:
        """What a benchmark with such requests needs and this server cannot do, as the end of a sentence."""
        if not isinstance(request, (Generate, Choose)):
            return None
        facts, raw = self._facts, request.raw
        if not (facts.raw if raw else facts.chat):
            kind, other = ("raw texts", "conversations") if raw else ("conversations", "raw texts")
            return f"the server takes {other} only, and this benchmark sends {kind}" + facts.reason(
                "raw" if raw else "chat"
            )
        if isinstance(request, Generate):
            return None
        if not raw and facts.thinking.choice_parameters is None:
            return NO_CHOICE
        mode = facts.raw_choice_mode if raw else facts.choice_mode
        if mode == "none":
            return "the server gives no log-probabilities" + facts.reason("raw_top" if raw else "chat_top")
        if mode == "top_logprobs" and not is_lettered(request):
            return "the server gives log-probabilities of the likeliest first tokens only, and the options of this " \
                   "benchmark are longer than a letter" + facts.reason("echo")  # fmt: skip
        return None

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Batches of consecutive requests, `BATCHES_IN_FLIGHT` times as many as are in flight."""
        size = BATCHES_IN_FLIGHT * self._in_flight
        return [list(range(start, min(start + size, len(requests)))) for start in range(0, len(requests), size)]

    def run(self, requests: Sequence[Request]) -> Batch:
        """Send all requests, with as many in flight as the settings allow.

        Raises:
            Interrupted: the user pressed Ctrl-C; it holds the answers so far.
        """
        started = time.perf_counter()
        found: list[tuple[Output, GenerationTiming | None] | None] = [None] * len(requests)
        told = len(self._client.limit.notices)
        try:
            self._loop.call(self._all(requests, found), self._notices.tell)
        except KeyboardInterrupt:
            raise Interrupted(_batch(requests, found, time.perf_counter() - started)) from None
        batch = _batch(requests, found, time.perf_counter() - started)
        notes = tuple(self._client.limit.notices[told:])
        closed = self._facts.thinking.facts.get("closed_for_choices")
        if closed and any(isinstance(request, Choose) and not request.raw for request in requests):
            notes = (*notes, SWITCHED_OFF)
        return replace(batch, notes=notes)

    def close(self) -> None:
        """Close the connections."""
        self._loop.call(self._client.close())
        self._loop.close()

    async def _all(
        self, requests: Sequence[Request], found: list[tuple[Output, GenerationTiming | None] | None]
    ) -> None:
        """Write each answer into `found` as it arrives, so that finished ones remain when the rest is cancelled."""
        slots = asyncio.Semaphore(self._in_flight)

        async def one(place: int, attempts: int | None = None) -> None:
            async with slots:
                found[place] = await self._answer(requests[place], attempts)

        rest = range(len(requests))
        if self._gone and requests:
            self._gone = ""
            await one(0, attempts=1)  # one request shows whether the server is back
            rest = rest[1:]
        async with asyncio.TaskGroup() as group:
            for place in rest:
                group.create_task(one(place))

    async def _answer(self, request: Request, attempts: int | None) -> tuple[Output, GenerationTiming | None]:
        if self._gone:
            return Output(error=f"{request.id}: not asked, since the server failed before: {self._gone}."), None
        try:
            answered = await self._send(request, attempts)
        except RetriesExhausted as error:
            self._failures += 1
            down = not error.connected or isinstance(error, WaitTooLong)
            if down or attempts == 1 or self._failures >= max(FEWEST_FAILURES, self._in_flight):
                self._gone = str(error)
            return Output(error=f"{request.id}: {error}."), None
        except ServerError as error:
            return Output(error=f"{request.id}: {error}."), None
        self._failures = 0
        return answered

    async def _send(self, request: Request, attempts: int | None) -> tuple[Output, GenerationTiming | None]:
        if isinstance(request, (Generate, Choose)) and not request.raw and not self._facts.system_turns:
            request = replace(request, messages=tuple(join_system(request.messages)))
        if isinstance(request, Generate):
            return await self._generated(request, attempts)
        if not isinstance(request, Choose):
            raise InvalidAnswer("recorded answers are not asked of a server")
        if request.raw and self._facts.echo:
            output, seconds = await by_echo(self._dialect, request)
        else:
            top = self._facts.raw_top if request.raw else self._facts.chat_top
            output, seconds = await by_first_token(self._dialect, request, top, self._facts.thinking.choice_parameters)
        self._check_whole(request, output.prompt_tokens)
        return replace(output, seconds=seconds), None

    async def _generated(self, request: Generate, attempts: int | None) -> tuple[Output, GenerationTiming | None]:
        messages, text = ((), joined(request)) if request.raw else (request.messages, "")
        thinking = ServerThinking() if request.raw else self._facts.thinking
        sent = request.max_new_tokens + (thinking.thought_tokens or 0)
        # While a model thinks, a stop string would end the thought; the answer is cut below.
        stop = () if thinking.thinks else request.stop
        asked = TextRequest(messages, text, sent, stop, parameters=thinking.parameters)
        said = await self._dialect.generate(asked, attempts)
        if not self._facts.answers_as(self._name, said.model):
            raise InvalidAnswer(f"{self._place} answered as the model {said.model}, and before as {self._facts.model}")
        self._check_whole(request, said.prompt_tokens)
        if said.ending is None and not self._facts.names_endings:
            said = replace(said, ending=_inferred_ending(sent, said))
        output = within_limits(answer_of(said, thinking.opened), request.max_new_tokens, thinking.thought_tokens)
        cut = _cut(request, output.text or "")
        if cut == output.text:
            _check_ending(sent, said)
            return output, said.spent
        return replace(output, text=cut, hit_limit=False), said.spent

    def _check_whole(self, request: Generate | Choose, tokens: int | None) -> None:
        """Raise if the server counted fewer prompt tokens than words: every word has at least one token."""
        texts = request.contexts if isinstance(request, Choose) and request.contexts else (joined(request),)
        words = min(len(text.split()) for text in texts)
        if tokens is not None and tokens < words:
            raise InvalidAnswer(f"{self._place} counted {tokens} prompt tokens for {words} words: it cut the prompt; "
                                "raise its context length (--ctx-size, --max-model-len, num_ctx)")  # fmt: skip


def _inferred_ending(limit: int, said: TextAnswer) -> str | None:
    """How an answer ended by its length, for servers that never say; None if it cannot be told.

    Without a count of tokens, a text of fewer bytes than the limit has fewer tokens, since each has a byte at least.
    """
    if said.new_tokens is not None:
        return "length" if said.new_tokens >= limit else "stop"
    written = said.text + (said.thought or "")
    return "stop" if len(written.encode("utf-8", "replace")) < limit else None


def answer_of(said: TextAnswer, opened: bool = False) -> Output:
    """An answer without its thought, which the server sent in a field of its own or in the text.

    Args:
        opened: the prompt opens the thought, and the text closes it.
    """
    cut = said.ending == "length"
    output = Output(said.text, prompt_tokens=said.prompt_tokens, new_tokens=said.new_tokens, seconds=said.seconds,
                    hit_limit=cut, thought=said.thought)  # fmt: skip
    opened = opened and said.thought is None
    found = without_thoughts(output, opened=opened, tokens_before=lambda at: said.thought_tokens)
    return found if found.thought is None else replace(found, thought_tokens=said.thought_tokens)


class _Notices:
    """Passes the notices of a client on, each once, in the thread that waits for its answers."""

    def __init__(self, client: Client, notice: Callable[[str], None] | None) -> None:
        self._lines, self._notice = client.limit.notices, notice
        self._told = len(self._lines)

    def tell(self) -> None:
        """Pass on what is new."""
        fresh = self._lines[self._told :]
        self._told += len(fresh)
        if self._notice is not None:
            for line in fresh:
                self._notice(line)


def within_limits(output: Output, answer_tokens: int, thought_tokens: int | None) -> Output:
    """An output cut as if thought and answer had been limited apart, which no server does.

    Where the server does not count the tokens of the thought, they are estimated by its share of all characters.

    Args:
        answer_tokens, thought_tokens: the limits; None: nothing was allowed for thoughts.
    """
    if thought_tokens is None or not output.new_tokens or not output.text:
        return output
    thought, text = output.thought or "", output.text
    thought_used = output.thought_tokens
    if thought_used is not None and thought_used > thought_tokens:
        return replace(output, text="", hit_limit=True)  # it would not have come to an end
    if thought_used is None:
        thought_used = round(output.new_tokens * len(thought) / (len(thought) + len(text)))
    used = output.new_tokens - thought_used
    if used <= answer_tokens:
        return output
    return replace(output, text=text[: len(text) * answer_tokens // used], hit_limit=True)


def _check_ending(limit: int, said: TextAnswer) -> None:
    """Raise unless the model itself ended the answer, or the token limit that was asked for did."""
    if said.ending == "length" and said.new_tokens is not None and said.new_tokens < limit:
        raise InvalidAnswer(
            f"the server cut the answer off after {said.new_tokens} tokens, though {limit} were "
            "allowed: its own limit is lower, or its context is full"
        )
    if said.ending is None:
        raise InvalidAnswer("the server does not say how the answer ended, so it may be cut off")
    if said.ending not in ("stop", "length"):
        raise InvalidAnswer(f"the server ended the answer for a reason of its own ({said.ending!r})")


def _cut(request: Generate, text: str) -> str:
    """The text up to its first stop string, and up to the first match of `request.answered`."""
    places = [text.find(string) for string in request.stop if string]
    text = text[: min((place for place in places if place >= 0), default=len(text))]
    found = re.search(request.answered, text) if request.answered else None
    return text if found is None else text[: found.end()]


def _batch(
    requests: Sequence[Request], found: Sequence[tuple[Output, GenerationTiming | None] | None], seconds: float
) -> Batch:
    rows = [pair or (Output(error=f"{request.id}: {UNFINISHED}."), None)
            for pair, request in zip(found, requests, strict=True)]  # fmt: skip
    sound = [(output, spent) for output, spent in rows if output.error is None]
    outputs, spents = [output for output, _ in sound], [spent for _, spent in sound]
    timed = [spent for spent in spents if spent is not None]
    whole = bool(timed) and len(timed) == len(spents)
    timing = Timing(
        seconds=seconds,
        items=len(requests),
        prefill_s=sum(spent.prefill_s for spent in timed) if whole else None,
        decode_s=sum(spent.decode_s for spent in timed) if whole else None,
        prompt_tokens=sum(spent.prompt_tokens for spent in timed)
        if whole
        else _total(o.prompt_tokens for o in outputs),
        new_tokens=sum(spent.new_tokens for spent in timed) if whole else _total(o.new_tokens for o in outputs),
    )
    return Batch(tuple(output for output, _ in rows), timing)


def _total(counts: Iterable[int | None]) -> int | None:
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def _capabilities(facts: ServerFacts) -> Capability:
    found = Capability.GENERATE
    for has, capability in (
        (facts.chat_top or facts.raw_top or facts.echo, Capability.CHOICE),
        (facts.chat_top or facts.raw_top, Capability.TOP_LOGPROBS),
        (facts.counts, Capability.PROMPT_TOKENS),
        (facts.timed, Capability.TIMINGS),
    ):
        found |= capability if has else Capability(0)
    return found


def _info(spec: ModelSpec, settings: EngineSettings, place: str, dialect: Dialect, facts: ServerFacts) -> EngineInfo:
    listed = facts.listed
    identity = dict(listed.identity) if listed else {}
    reported = facts.expected if facts.expected is not None and WILDCARDS & set(facts.expected) else facts.model
    says = {"reported_model": reported, "fingerprint": facts.fingerprint, "listed": identity}
    extra = {
        "server": place,
        **says,
        "choice_mode": facts.choice_mode,
        "raw_choice_mode": facts.raw_choice_mode,
        "top_logprobs": facts.chat_top or facts.raw_top,
        "conversations": facts.chat,
        "system_turns": facts.system_turns,
        "raw_texts": facts.raw,
        "counts_tokens": facts.counts,
        "names_endings": facts.names_endings,
        "tells_timings": facts.timed,
        "missing": dict(facts.why),
        "parameters": dict(dialect.parameters),
        **({"thinking": dict(facts.thinking.facts)} if facts.thinking.facts else {}),
        "concurrency": settings.server.concurrency,
    }
    return EngineInfo(
        engine=dialect.engine, kernel="unknown", device="remote", dtype="unknown", load_s=facts.load_s,
        model_bytes=listed.model_bytes if listed else None,
        context_tokens=spec.context_tokens or (listed.context_tokens if listed else None),
        weights_sha256=sha256_json([dialect.engine, place, spec.location, says]), tokenizer_sha256=OF_THE_SERVER,
        template_sha256=OF_THE_SERVER, extra=extra,
    )  # fmt: skip


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
        told = _Notices(client, settings.notice).tell
        facts = loop.call(probe(dialect, spec.location, address.place, spec.expected_model), told)
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
