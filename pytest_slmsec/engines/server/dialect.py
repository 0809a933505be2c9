"""The interface between the engine and the API of a server, and the data that passes through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pytest_slmsec.core.items import Message

Parameters = dict[str, Any]
"""Parameters of a request by name, as plain data."""

TopLogprobs = tuple[tuple[str, float], ...]
"""The likeliest next tokens: pairs of token text and natural-log probability."""

NOT_TAKEN = "not taken"
"""In the record: the value of a parameter that the server refused."""

LISTING_ATTEMPTS = 2
"""Few, so that a missing server is reported soon; two, for a server that is just starting."""


@dataclass(frozen=True, slots=True)
class TextRequest:
    """One request for generated text.

    Attributes:
        messages: a conversation; () if `text` is a raw prompt.
        max_new_tokens: the token limit. stop: strings that end the answer.
        top: how many of the likeliest first tokens to return with their log-probabilities; 0 for none.
        temperature, seed: as in `core.items.Generate`; 0.0 for greedy decoding.
        parameters: further ones of the API, of a conversation. streaming: those that have the answer streamed.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    max_new_tokens: int = 1
    stop: tuple[str, ...] = ()
    top: int = 0
    temperature: float = 0.0
    seed: int = 0
    parameters: Parameters = field(default_factory=dict)
    streaming: Parameters = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GenerationTiming:
    """Prefill and decode time of one request as the server reports them. Tokens from its cache are not counted."""

    prompt_tokens: int
    prefill_s: float
    new_tokens: int
    decode_s: float
    load_s: float | None = None


@dataclass(frozen=True, slots=True)
class TextAnswer:
    """One generated text. Unknown values are None.

    Attributes:
        ending: ``stop``, ``length``, or the server's own word; None if the server does not say.
        prompt_tokens, new_tokens: as the server counts them.
        seconds: wall time of the request. first_s: until its first piece of text or thought came, where it was
            streamed. pieces: how many there were.
        thought: what the server sent as the model's reasoning, in a field of its own. thought_tokens: as counted.
        model, fingerprint: the name of the model and of its build, as the server reports them.
        top: the likeliest first tokens. spent: times that the server reports.
    """

    text: str
    ending: str | None
    prompt_tokens: int | None
    new_tokens: int | None
    seconds: float
    model: str | None = None
    fingerprint: str | None = None
    top: TopLogprobs | None = None
    spent: GenerationTiming | None = None
    thought: str | None = None
    thought_tokens: int | None = None
    first_s: float | None = None
    pieces: int = 0


@dataclass(frozen=True, slots=True)
class PromptLogprobs:
    """The tokens of a prompt, scored by the server. The three tuples have one entry a token.

    Attributes:
        logprobs: natural-log probability of each token; None for the first. greedy: whether it was the likeliest.
        prompt_tokens: as the server counts them. seconds: wall time of the request.
    """

    tokens: tuple[str, ...]
    logprobs: tuple[float | None, ...]
    greedy: tuple[bool, ...]
    prompt_tokens: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class ListedModel:
    """An entry of the server's list of models. `identity`: plain data that changes when the model does."""

    name: str
    context_tokens: int | None = None
    model_bytes: int | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)


class Dialect(Protocol):
    """The API of a server. Every method raises `errors.ServerError` if a request fails."""

    engine: str
    """The name of the API, for the record."""
    tops: tuple[int, ...]
    """How many likeliest tokens to ask for, largest first; the first number that the server accepts is used."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Decoding parameters as they are sent, for the record; ``not taken`` for those that the server refused."""
        ...

    def thinking_forms(self, asked: str) -> list[Parameters]:
        """Parameters that may switch thinking ``on`` or ``off``, in the order in which they are tried."""
        ...

    def variable_forms(self, name: str, value: Any) -> list[Parameters]:
        """Parameters that may set a variable of the chat template; empty if the API has none for it."""
        ...

    def streaming_forms(self) -> list[Parameters]:
        """Parameters that may have answers streamed, in the order in which they are tried."""
        ...

    async def list_models(self) -> list[ListedModel] | None:
        """The models of the server; None if it has no such list."""
        ...

    async def generate(self, ask: TextRequest, attempts: int | None = None) -> TextAnswer:
        """Continue a conversation or a raw text."""
        ...

    async def generate_adapting(self, ask: TextRequest) -> TextAnswer:
        """As `generate`; parameters that the server refuses are left out of this and all later requests."""
        ...

    async def prompt_logprobs(self, text: str, attempts: int | None = None) -> PromptLogprobs | None:
        """The tokens of `text` with their log-probabilities; None if the server does not return them."""
        ...


STOPPED = frozenset((
    "stop", "eos", "eostoken", "eosfound", "endturn", "endofturn", "endoftext", "endofsequence", "stopsequence",
    "stopstringfound", "stoptoken", "complete", "completed", "finish", "finished",
))  # fmt: skip
LIMITED = frozenset((
    "length", "maxtokens", "maxnewtokens", "maxoutputtokens", "maxlength", "maxlen", "modellength", "tokenlimit",
    "maxpredictedtokensreached",
))  # fmt: skip
"""What servers call the two ends that an answer may have, without case and punctuation: Together (``eos``), TGI
(``eos_token``, ``stop_sequence``), proxies of Anthropic's API (``end_turn``, ``max_tokens``), of Gemini's (``STOP``,
``MAX_TOKENS``) and of Cohere's (``COMPLETE``), Mistral (``model_length``), LM Studio (``eosFound``)."""


def ending_of(value: Any) -> str | None:
    """A finish reason as ``stop`` or ``length``, or the server's own word; None if it gives none."""
    word = text_of(value)
    if word is None:
        return None
    plain = "".join(char for char in word.casefold() if char.isalpha())
    if plain in STOPPED:
        return "stop"
    return "length" if plain in LIMITED else word


def prompt_count(value: Any) -> int | None:
    """A count of prompt tokens, or None; 0 means that the server does not count, since no prompt is empty."""
    return number(value) or None


def new_count(value: Any, text: str) -> int | None:
    """A count of generated tokens, or None; 0 tokens for a text that is not empty are no count."""
    found: int | None = number(value)
    return None if found == 0 and text else found


def number(value: Any, kind: type[int] | type[float] = int) -> Any:
    """`value` if it is a JSON number of this kind and not negative, else None."""
    fits = isinstance(value, (int, kind)) and not isinstance(value, bool)
    return kind(value) if fits and value >= 0 else None


def text_of(value: Any) -> str | None:
    """`value` if it is a JSON string that is not empty, else None."""
    return value if isinstance(value, str) and value else None
