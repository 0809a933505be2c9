"""Models behind an Ollama server, through Ollama's own HTTP API.

Source: https://docs.ollama.com/api (chat, generate with `raw`, tags, show, version) and Ollama's ``api/types.go``.
Durations are in nanoseconds. With `truncate` and `shift` false, a prompt that is too long is an error. `logprobs` exist
since Ollama 0.12.11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.server.address import addresses_of, keys_of
from pytest_slmsec.engines.server.client import Client
from pytest_slmsec.engines.server.dialect import (
    LISTING_ATTEMPTS,
    GenerationTiming,
    ListedModel,
    Parameters,
    PromptLogprobs,
    TextAnswer,
    TextRequest,
    ending_of,
    new_count,
    number,
    prompt_count,
    text_of,
)
from pytest_slmsec.engines.server.engine import ServerEngine
from pytest_slmsec.engines.server.errors import InvalidAnswer, RequestRefused
from pytest_slmsec.engines.server.openai_ import token_pairs
from pytest_slmsec.engines.server.responses import JsonAnswer
from pytest_slmsec.engines.server.start import start

DEFAULT_URL = "http://localhost:11434"
CONTEXT_TOKENS = 8192
"""Context to ask for if the model allows it and the registry entry names none. Ollama's own default is 4096 or less."""
NANO = 1e-9
THINK_VARIABLES = ("enable_thinking", "thinking", "reasoning_effort")


class Ollama:
    """Ollama's API as a `dialect.Dialect`."""

    engine = "Ollama"
    tops: tuple[int, ...] = (20, 5)

    def __init__(self, client: Client, model: str, context_tokens: int | None) -> None:
        self._client, self._model, self._context = client, model, context_tokens

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The decoding parameters of every request."""
        return {"temperature": 0, "seed": 0, "num_ctx": self._context, "truncate": False, "shift": False}

    def thinking_forms(self, asked: str) -> list[Parameters]:
        """`think`; some models know efforts only (gpt-oss)."""
        return [{"think": True}, {"think": "medium"}] if asked == "on" else [{"think": False}]

    def variable_forms(self, name: str, value: Any) -> list[Parameters]:
        """`think` for the variables that switch thinking; Ollama passes no others to its templates."""
        return [{"think": value}] if name in THINK_VARIABLES else []

    def streaming_forms(self) -> list[Parameters]:
        """One JSON object a line, the counts and times in the last."""
        return [{"stream": True}]

    async def list_models(self) -> list[ListedModel] | None:
        """``GET /api/tags``; the context length of the model itself from ``POST /api/show``."""
        answered = await self._client.get("/api/tags", LISTING_ATTEMPTS)
        entries = answered.value.get("models")
        found = [_listed(entry) for entry in (entries if isinstance(entries, list) else ())]
        longest = await self._longest_context()
        if self._context is None and longest is not None:
            self._context = min(longest, CONTEXT_TOKENS)
        return [replace(one, context_tokens=self._context) for one in found if one is not None]

    async def _longest_context(self) -> int | None:
        try:
            info = (await self._client.post("/api/show", {"model": self._model})).value.get("model_info")
        except RequestRefused:
            return None
        facts = info if isinstance(info, dict) else {}
        return next((number(value) for name, value in facts.items() if name.endswith(".context_length")), None)

    async def generate(self, ask: TextRequest, attempts: int | None = None) -> TextAnswer:
        """``POST /api/chat``, or ``/api/generate`` with `raw` for a raw text."""
        asked: dict[str, Any] = {"prompt": ask.text, "raw": True}
        if ask.messages:
            asked = {"messages": [{"role": turn.role, "content": turn.content} for turn in ask.messages]}
        options: dict[str, Any] = {"num_predict": ask.max_new_tokens, "temperature": ask.temperature or 0,
                                   "seed": ask.seed if ask.temperature else 0}  # fmt: skip
        if ask.temperature:  # Ollama's own defaults cut the tail
            options |= {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
        if self._context is not None:
            options["num_ctx"] = self._context
        stops = [string for string in ask.stop if string]
        if stops:
            options["stop"] = stops
        top = {"logprobs": True, "top_logprobs": ask.top} if ask.top else {}
        body = {"model": self._model, "stream": False, "truncate": False, "shift": False, "options": options}
        path = "/api/chat" if ask.messages else "/api/generate"
        parameters = ask.parameters if ask.messages else {}
        return _text_answer(
            await self._client.post(path, {**body, **asked, **top, **parameters, **ask.streaming}, attempts)
        )

    async def generate_adapting(self, ask: TextRequest) -> TextAnswer:
        """As `generate`: Ollama ignores parameters that it does not know."""
        return await self.generate(ask)

    async def prompt_logprobs(self, text: str, attempts: int | None = None) -> PromptLogprobs | None:
        """None: Ollama does not return the tokens of a prompt."""
        return None


def _listed(entry: Any) -> ListedModel | None:
    name = text_of(entry.get("name") or entry.get("model")) if isinstance(entry, dict) else None
    if name is None:
        return None
    details = entry.get("details")
    told = details if isinstance(details, dict) else {}
    known = {key: told[key] for key in ("format", "quantization_level", "parameter_size") if key in told}
    return ListedModel(name, None, number(entry.get("size")), {**known, "digest": entry.get("digest")})


def _text_answer(answered: JsonAnswer) -> TextAnswer:
    value = answered.value
    if value.get("done") is not True:
        raise InvalidAnswer("the server's answer is not complete (`done` is missing)")
    message = value.get("message")
    text = message.get("content") if isinstance(message, dict) else value.get("response")
    if not isinstance(text, str):
        raise InvalidAnswer("the server's answer holds no text")
    logprobs = value.get("logprobs")
    first = logprobs[0] if isinstance(logprobs, list) and logprobs else None
    thought = text_of(message.get("thinking") if isinstance(message, dict) else value.get("thinking"))
    return TextAnswer(
        text=text,
        thought=thought,
        ending=ending_of(value.get("done_reason")),
        prompt_tokens=prompt_count(value.get("prompt_eval_count")),
        new_tokens=new_count(value.get("eval_count"), text + (thought or "")),
        seconds=answered.seconds,
        model=text_of(value.get("model")),
        top=token_pairs([*(first.get("top_logprobs") or ()), first]) if isinstance(first, dict) else None,
        spent=_timing(value),
        first_s=answered.first_s,
        pieces=answered.pieces,
    )


def _timing(value: Mapping[str, Any]) -> GenerationTiming | None:
    counts = [number(value.get(name)) for name in ("prompt_eval_count", "eval_count")]
    times = [number(value.get(name)) for name in ("prompt_eval_duration", "eval_duration")]
    if None in (*counts, *times):
        return None
    loading = number(value.get("load_duration"))
    load_s = None if loading is None else loading * NANO
    return GenerationTiming(counts[0], times[0] * NANO, counts[1], times[1] * NANO, load_s)


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> ServerEngine:
    """The engine of one model of an Ollama server.

    Raises:
        UsageError, ModelUnavailable, ModelError: as `openai_.load`.
    """
    given = addresses_of(spec, settings.server, DEFAULT_URL, "")
    addresses = [replace(one, url=one.url.removesuffix("/v1").removesuffix("/api")) for one in given]
    keys = keys_of(spec, settings.server, ("SLMSEC_API_KEY",), len(addresses))
    return start(spec, settings, addresses, keys, lambda client: Ollama(client, spec.location, spec.context_tokens))
