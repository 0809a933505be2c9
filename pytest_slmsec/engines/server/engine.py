"""The engine over models behind a server: many requests at once, each answer kept even if others fail.

What a server does not report is null in the record (tokenizer, chat template, memory). Its weights cannot be hashed, so
the identity of the model is what the server says about it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Batch, Interrupted
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.prompting.chat_template import join_system
from pytest_slmsec.engines.prompting.raw_texts import joined
from pytest_slmsec.engines.server.answers import answer_of, check_ending, cut_at_stops, inferred_ending, within_limits
from pytest_slmsec.engines.server.choice_scoring import by_echo, by_first_token, is_lettered
from pytest_slmsec.engines.server.dialect import NOT_TAKEN, TextRequest
from pytest_slmsec.engines.server.errors import InvalidAnswer, RetriesExhausted, ServerError, WaitTooLong
from pytest_slmsec.engines.server.facts import ServerFacts
from pytest_slmsec.engines.server.loop import LoopThread
from pytest_slmsec.engines.server.rate_limit import Notices
from pytest_slmsec.engines.server.record import Answered, batch_of, capabilities_of, info_of
from pytest_slmsec.engines.server.several import FEWEST_FAILURES, Servers
from pytest_slmsec.engines.server.thinking import NO_CHOICE, SWITCHED_OFF, ServerThinking

BATCHES_IN_FLIGHT = 4
"""A batch holds this many times as many requests as are in flight: enough to keep all connections busy, and few enough
that a killed run loses little."""
NO_TEMPERATURE = "the server takes no temperature; with a temperature of 0 none is sent, and it decodes in its own way"


class ServerEngine:
    """Answers requests through a server; see `engines.common.base.Engine`."""

    def __init__(
        self, spec: ModelSpec, settings: EngineSettings, loop: LoopThread, servers: Servers, facts: ServerFacts
    ) -> None:
        self._name, self._place, self._facts = spec.location, servers.place, facts
        self._loop, self._servers, self._dialect = loop, servers, servers.dialect
        self._in_flight = settings.server.concurrency * len(servers.members)
        self._notices = Notices(servers.notices, settings.notice)
        self._failures, self._gone = 0, ""
        self.capabilities = capabilities_of(facts)
        self.info = info_of(spec, settings, servers.place, servers.dialect, facts)

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
            fixed = self._dialect.parameters.get("temperature") == NOT_TAKEN
            return NO_TEMPERATURE if request.sampled and fixed else None
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
        """Send all requests, with as many in flight to each server as the settings allow.

        Raises:
            Interrupted: the user pressed Ctrl-C; it holds the answers so far.
        """
        started = time.perf_counter()
        found: list[Answered | None] = [None] * len(requests)
        told = len(self._servers.notices)
        try:
            self._loop.call(self._all(requests, found), self._notices.tell)
        except KeyboardInterrupt:
            raise Interrupted(batch_of(requests, found, time.perf_counter() - started)) from None
        batch = batch_of(requests, found, time.perf_counter() - started)
        notes = tuple(self._servers.notices[told:])
        closed = self._facts.thinking.facts.get("closed_for_choices")
        if closed and any(isinstance(request, Choose) and not request.raw for request in requests):
            notes = (*notes, SWITCHED_OFF)
        return replace(batch, notes=notes)

    def close(self) -> None:
        """Close the connections."""
        self._loop.call(self._servers.close())
        self._loop.close()

    async def _all(self, requests: Sequence[Request], found: list[Answered | None]) -> None:
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

    async def _answer(self, request: Request, attempts: int | None) -> Answered:
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

    async def _send(self, request: Request, attempts: int | None) -> Answered:
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

    async def _generated(self, request: Generate, attempts: int | None) -> Answered:
        messages, text = ((), joined(request)) if request.raw else (request.messages, "")
        thinking = ServerThinking() if request.raw else self._facts.thinking
        sent = request.max_new_tokens + (thinking.thought_tokens or 0)
        # While a model thinks, a stop string would end the thought; the answer is cut below.
        stop = () if thinking.thinks else request.stop
        streaming = (self._facts.raw_streaming if request.raw else self._facts.chat_streaming) or {}
        asked = TextRequest(
            messages, text, sent, stop, temperature=request.temperature, seed=request.seed,
            parameters=thinking.parameters, streaming=streaming,
        )  # fmt: skip
        said = await self._dialect.generate(asked, attempts)
        if streaming and self._facts.counts and said.prompt_tokens is None:
            raise InvalidAnswer("the stream of the answer ended before its token counts")
        if not self._facts.answers_as(self._name, said.model):
            raise InvalidAnswer(f"{self._place} answered as the model {said.model}, and before as {self._facts.model}")
        self._check_whole(request, said.prompt_tokens)
        if said.ending is None and not self._facts.names_endings:
            said = replace(said, ending=inferred_ending(sent, said))
        output = within_limits(answer_of(said, thinking.opened), request.max_new_tokens, thinking.thought_tokens)
        cut = cut_at_stops(request, output.text or "")
        if cut == output.text:
            check_ending(sent, said)
            return output, said.spent
        return replace(output, text=cut, hit_limit=False), said.spent

    def _check_whole(self, request: Generate | Choose, tokens: int | None) -> None:
        """Raise if the server counted fewer prompt tokens than words: every word has at least one token."""
        texts = request.contexts if isinstance(request, Choose) and request.contexts else (joined(request),)
        words = min(len(text.split()) for text in texts)
        if tokens is not None and tokens < words:
            raise InvalidAnswer(f"{self._place} counted {tokens} prompt tokens for {words} words: it cut the prompt; "
                                "raise its context length (--ctx-size, --max-model-len, num_ctx)")  # fmt: skip
