"""Models behind a server with OpenAI's HTTP API: llama.cpp, vLLM, LM Studio, `transformers serve` and many hosts.

Source: the OpenAI API reference (chat completions; legacy completions for raw texts, with `echo` and `logprobs`), and
the answers of these servers. llama.cpp adds `timings`, and gives the `logprobs` of completions in the form of chat
completions. vLLM gives the context length as `max_model_len`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.engines.server.address import KEY_VARIABLES, addresses_of, keys_of
from pytest_slmsec.engines.server.client import Client
from pytest_slmsec.engines.server.dialect import (
    LISTING_ATTEMPTS,
    NOT_TAKEN,
    GenerationTiming,
    ListedModel,
    Parameters,
    PromptLogprobs,
    TextAnswer,
    TextRequest,
    TopLogprobs,
    ending_of,
    new_count,
    number,
    prompt_count,
    text_of,
)
from pytest_slmsec.engines.server.engine import ServerEngine
from pytest_slmsec.engines.server.errors import InvalidAnswer, KeyRefused, RequestRefused, RetriesExhausted
from pytest_slmsec.engines.server.event_stream import THOUGHT_FIELDS
from pytest_slmsec.engines.server.message_parts import refusal_of_parts, text_of_parts, thought_of_parts
from pytest_slmsec.engines.server.responses import JsonAnswer
from pytest_slmsec.engines.server.start import start

MOST_STOPS = 4
"""The API refuses more stop strings. The engine cuts the answer at all of them itself."""
CHAT, COMPLETIONS = "/chat/completions", "/completions"
TEMPLATE_VARIABLES, EFFORT = "chat_template_kwargs", "reasoning_effort"
NEW_LIMIT = "max_completion_tokens"
REFUSED_LIMIT = re.compile(
    r"\bmax_tokens\b.*(?:extra|forbidden|permitted|not supported|unsupported|unknown|unrecogni[sz]ed|unexpected)|"
    r"(?:extra|forbidden|unsupported|unknown|unrecogni[sz]ed|unexpected).*\bmax_tokens\b",
    re.I,
)
OPTIONAL = ("seed", "temperature")
STREAMING: Parameters = {"stream": True, "stream_options": {"include_usage": True}}
"""Without `stream_options`, OpenAI's own server leaves the token counts out of a stream."""
CONTEXT_KEYS = ("max_model_len", "context_length", "context_window", "n_ctx", "n_ctx_train")


class OpenAI:
    """The OpenAI API as a `dialect.Dialect`."""

    engine = "OpenAI-compatible server"
    tops: tuple[int, ...] = (20, 5)

    def __init__(self, client: Client, model: str) -> None:
        self._client, self._model = client, model
        self._limit = "max_tokens"
        self._fixed: dict[str, Any] = {"temperature": 0, "seed": 0}

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The name of the token limit and the parameters of greedy decoding; ``not taken`` for those refused."""
        streaming = {"stream": True} if "stream" in self._fixed else {}
        return {"limit": self._limit, **{name: self._fixed.get(name, NOT_TAKEN) for name in OPTIONAL}, **streaming}

    def thinking_forms(self, asked: str) -> list[Parameters]:
        """vLLM, SGLang and llama.cpp pass variables to the template; OpenAI and its like know efforts; some proxies of
        Ollama take `think`."""
        on = asked == "on"
        variables = {"enable_thinking": on, "thinking": on}
        return [{TEMPLATE_VARIABLES: variables}, {EFFORT: "medium" if on else "none"}, {"think": on}]

    def variable_forms(self, name: str, value: Any) -> list[Parameters]:
        """A variable of the template, and an effort also as the parameter of that name."""
        variable: Parameters = {TEMPLATE_VARIABLES: {name: value}}
        return [{EFFORT: value}, variable] if name == EFFORT else [variable]

    def streaming_forms(self) -> list[Parameters]:
        """With token counts; some servers send these anyway, and refuse to be asked for them."""
        return [STREAMING, {"stream": True}]

    async def list_models(self) -> list[ListedModel] | None:
        """``GET /models``."""
        try:
            answered = await self._client.get("/models", LISTING_ATTEMPTS)
        except KeyRefused:
            raise
        except RequestRefused:
            return None
        except RetriesExhausted as error:
            if error.connected:
                return None  # the first question fails with the reason if the server is broken
            raise
        entries = answered.value.get("data")
        if not isinstance(entries, list):
            return None
        return [model for model in map(_listed, entries) if model is not None]

    async def generate(self, ask: TextRequest, attempts: int | None = None) -> TextAnswer:
        """``POST /chat/completions``, or ``/completions`` for a raw text."""
        path, asked = (CHAT, self._chat(ask)) if ask.messages else (COMPLETIONS, self._raw(ask))
        body = {"model": self._model, **asked, **self._fixed, **self._sampling(ask), **ask.streaming}
        return _text_answer(await self._client.post(path, body, attempts))

    async def generate_adapting(self, ask: TextRequest) -> TextAnswer:
        """As `generate`; if a refusal names a parameter, the request is repeated without it."""
        for _ in range(len(OPTIONAL) + len(STREAMING) + 1):
            try:
                return await self.generate(ask)
            except RequestRefused as error:
                if error.status not in (400, 422) or not self._drop_refused(error.said):
                    raise
        return await self.generate(ask)

    def _drop_refused(self, said: str) -> bool:
        if self._limit != NEW_LIMIT and (NEW_LIMIT in said or REFUSED_LIMIT.search(said)):
            self._limit = NEW_LIMIT
            return True
        if "stream" not in self._fixed and re.search(r"\bstream(?:ing)?\b", said, re.IGNORECASE):
            self._fixed |= STREAMING
            return True
        named = next((name for name in self._fixed if re.search(rf"\b{name}\b", said)), None)
        return named is not None and self._fixed.pop(named, None) is not None

    async def prompt_logprobs(self, text: str, attempts: int | None = None) -> PromptLogprobs | None:
        """``POST /completions`` with `echo`. One token is generated and dropped, because llama-cpp-python reads a limit
        of 0 as no limit."""
        asked = {"prompt": text, "max_tokens": 1, "echo": True, "logprobs": 1, **self._fixed}
        answered = await self._client.post(COMPLETIONS, {"model": self._model, **asked}, attempts)
        found = _choice(answered).get("logprobs")
        new_tokens = number(_usage(answered).get("completion_tokens"))
        if not isinstance(found, dict) or new_tokens is None:
            return None
        return _echoed(found, new_tokens, number(_usage(answered).get("prompt_tokens")), answered.seconds)

    def _sampling(self, ask: TextRequest) -> dict[str, Any]:
        """What a sampled request sends in the place of the parameters of greedy decoding."""
        wanted = {"temperature": ask.temperature, "seed": ask.seed} if ask.temperature else {}
        return {name: value for name, value in wanted.items() if name in self._fixed}

    def _chat(self, ask: TextRequest) -> dict[str, Any]:
        messages = [{"role": turn.role, "content": turn.content} for turn in ask.messages]
        top = {"logprobs": True, "top_logprobs": ask.top} if ask.top else {}
        return {"messages": messages, self._limit: ask.max_new_tokens, **_stops(ask), **top, **ask.parameters}

    def _raw(self, ask: TextRequest) -> dict[str, Any]:
        top = {"logprobs": ask.top} if ask.top else {}
        return {"prompt": ask.text, "max_tokens": ask.max_new_tokens, **_stops(ask), **top}


def _stops(ask: TextRequest) -> dict[str, Any]:
    stops = [string for string in ask.stop if string][:MOST_STOPS]
    return {"stop": stops} if stops else {}


def _listed(entry: Any) -> ListedModel | None:
    name = text_of(entry.get("id")) if isinstance(entry, dict) else None
    if name is None:
        return None
    meta = entry.get("meta")
    facts = {**(meta if isinstance(meta, dict) else {}), **entry}
    known = {key: facts[key] for key in ("owned_by", "root", "n_params", "size", "created") if key in facts}
    if entry.get("owned_by") != "openai":
        known.pop("created", None)  # local servers put the time of the request here
    context = next((number(facts[key]) for key in CONTEXT_KEYS if number(facts.get(key))), None)
    return ListedModel(name, context, number(facts.get("size")), known)


def _choice(answered: JsonAnswer) -> dict[str, Any]:
    choices = answered.value.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise InvalidAnswer("the server's answer holds no choices")
    return choices[0]


def _usage(answered: JsonAnswer) -> dict[str, Any]:
    usage = answered.value.get("usage")
    return usage if isinstance(usage, dict) else {}


def _text_answer(answered: JsonAnswer) -> TextAnswer:
    choice, usage, value = _choice(answered), _usage(answered), answered.value
    logprobs = choice.get("logprobs")
    text, thought = _text(choice), _thought(choice)
    return TextAnswer(
        text=text,
        thought=thought,
        thought_tokens=_thought_tokens(usage),
        ending=ending_of(choice.get("finish_reason")),
        prompt_tokens=prompt_count(usage.get("prompt_tokens")),
        new_tokens=new_count(usage.get("completion_tokens"), text + (thought or "")),
        seconds=answered.seconds,
        model=text_of(value.get("model")),
        fingerprint=text_of(value.get("system_fingerprint")),
        top=first_top(logprobs) if isinstance(logprobs, dict) else None,
        spent=_timing(value.get("timings")),
        first_s=answered.first_s,
        pieces=answered.pieces,
    )


def _text(choice: Mapping[str, Any]) -> str:
    message = choice.get("message")
    if not isinstance(message, dict):
        text = choice.get("text")
    else:
        text = text_of_parts(message.get("content"))
        refused = text_of(message.get("refusal")) or refusal_of_parts(message.get("content"))
        if not text and refused:
            return refused  # the model's answer, in a field or part of its own
        ending = ending_of(choice.get("finish_reason"))
        if text is None and (_thought(choice) or ending in ("stop", "length") or ("content" in message and ending)):
            return ""  # it has only thought, had nothing to say, or was stopped, which its ending tells
    if not isinstance(text, str):
        raise InvalidAnswer("the server's answer holds no text")
    return text


def _thought(choice: Mapping[str, Any]) -> str | None:
    """The model's reasoning in a field of its own (`THOUGHT_FIELDS`); None where there is none."""
    message = choice.get("message")
    fields = message if isinstance(message, dict) else choice
    in_parts = thought_of_parts(fields.get("content"))
    if in_parts is not None:
        return in_parts
    return next((found for name in THOUGHT_FIELDS if (found := text_of(fields.get(name))) is not None), None)


def _thought_tokens(usage: Mapping[str, Any]) -> int | None:
    details = usage.get("completion_tokens_details")
    return number(details.get("reasoning_tokens")) if isinstance(details, dict) else None


def first_top(logprobs: Mapping[str, Any]) -> TopLogprobs | None:
    """The likeliest first tokens, from `logprobs` in the form of chat completions or of legacy completions."""
    content, tops = logprobs.get("content"), logprobs.get("top_logprobs")
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return token_pairs([*(content[0].get("top_logprobs") or ()), content[0]])
    if isinstance(tops, list) and tops and isinstance(tops[0], dict):
        return token_pairs([{"token": token, "logprob": logprob} for token, logprob in tops[0].items()])
    return None


def token_pairs(entries: list[Any]) -> TopLogprobs | None:
    """Pairs of token and log-probability without repeated tokens; None if there are none."""
    found: dict[str, float] = {}
    for entry in entries:
        value = entry.get("logprob") if isinstance(entry, dict) else None
        if isinstance(value, (int, float)) and isinstance(entry.get("token"), str):
            found.setdefault(entry["token"], float(value))
    return tuple(found.items()) or None


def _echoed(
    found: Mapping[str, Any], new_tokens: int, prompt_tokens: int | None, seconds: float
) -> PromptLogprobs | None:
    tokens, logprobs, tops = (found.get(name) for name in ("tokens", "token_logprobs", "top_logprobs"))
    if not isinstance(tokens, list) or not isinstance(logprobs, list) or len(tokens) != len(logprobs):
        return None
    n = len(tokens) - new_tokens
    if n < 1 or not all(isinstance(value, (int, float)) for value in logprobs[1:n]):
        return None
    tops = tops if isinstance(tops, list) and len(tops) == len(tokens) else [None] * len(tokens)
    pairs = list(zip(logprobs, tops, strict=True))[:n]
    return PromptLogprobs(tuple(map(str, tokens[:n])), tuple(value for value, _ in pairs),
                  tuple(_is_top(*pair) for pair in pairs), prompt_tokens, seconds)  # fmt: skip


def _is_top(logprob: float | None, top: Any) -> bool:
    values = [value for value in top.values() if isinstance(value, (int, float))] if isinstance(top, dict) else []
    return logprob is not None and bool(values) and logprob >= max(values)


def _timing(timings: Any) -> GenerationTiming | None:
    """Times from llama.cpp's `timings`, which are in milliseconds."""
    if not isinstance(timings, dict):
        return None
    counts = [number(timings.get(name)) for name in ("prompt_n", "predicted_n")]
    times = [number(timings.get(name), float) for name in ("prompt_ms", "predicted_ms")]
    if None in (*counts, *times):
        return None
    return GenerationTiming(counts[0], times[0] / 1000, counts[1], times[1] / 1000)


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> ServerEngine:
    """The engine of one model of an OpenAI-compatible server.

    Raises:
        UsageError: no address is known, or the variable of the key is not set.
        ModelUnavailable: no connection can be made. ModelError: the server fails, has no such model, or answers as
            another one.
    """
    addresses = addresses_of(spec, settings.server, None, "/v1")
    keys = keys_of(spec, settings.server, KEY_VARIABLES, len(addresses))
    return start(spec, settings, addresses, keys, lambda client: OpenAI(client, spec.location))
