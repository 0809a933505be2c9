"""The engine protocol: everything above it is the same for every back end.

An engine gets a whole window of requests. `plan` divides them into batches; it is a pure function of the requests, so
that an interrupted window resumes with the same batches and gives bit-identical answers. `run` executes one batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Flag, auto
from typing import Protocol, runtime_checkable

from pytest_slmsec.core.items import Choose, Generate, Output, Request

FRAGILE_DEVIATIONS = 2.0
"""A margin between two options below this many times the measured deviation of one log-probability may change its sign
on another machine, in another batch or with another kernel: each of the two may be off by one deviation."""
GUESSED = "guessed_tokens"
"""Key among the facts about a loaded model (`EngineInfo.extra`): most next tokens of an answer that are guessed in one
step. Where it stands, decode speed depends on how much the texts repeat."""


class Capability(Flag):
    """What an engine can measure.

    CHOICE: the log-probability of any continuation. OPTIONS: only which of several option texts answers a question
    best. GENERATE: text. SAMPLE: text whose tokens are drawn (`Generate.temperature`).
    """

    CHOICE = auto()
    OPTIONS = auto()
    GENERATE = auto()
    TOP_LOGPROBS = auto()
    PROMPT_TOKENS = auto()
    TIMINGS = auto()
    SAMPLE = auto()


NO_TEXT = "it generates no text"
GREEDY_ONLY = "it decodes greedily only, and a temperature above 0 was asked for"


def lacking(capabilities: Capability, request: Request) -> str | None:
    """Why an engine with these capabilities cannot answer a request, as the end of a sentence; None: it can."""
    if isinstance(request, Generate):
        if Capability.GENERATE not in capabilities:
            return NO_TEXT
        return GREEDY_ONLY if request.sampled and Capability.SAMPLE not in capabilities else None
    if not isinstance(request, Choose):
        return None  # nothing is asked: the answer is there already
    if Capability.CHOICE in capabilities or (Capability.OPTIONS in capabilities and request.options):
        return None
    if Capability.OPTIONS in capabilities:
        return "it compares texts, and this benchmark gives no option texts, but asks for log-probabilities"
    return "it gives no log-probabilities"


@dataclass(frozen=True, slots=True)
class Timing:
    """Times and token counts of one batch. None: not measured.

    Attributes:
        seconds: wall time of the batch; None for recorded answers.
        prefill_s, decode_s: wall seconds until the first new token of the batch, and after it.
        prompt_tokens, new_tokens: summed over the batch, padding not counted.
        time_to_first_token_s: seconds from the start of the batch to its first new token; for a server, whose requests
            are timed one by one, the median over its answers.
        items: number of requests in the batch.
    """

    seconds: float | None
    items: int
    prefill_s: float | None = None
    decode_s: float | None = None
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    time_to_first_token_s: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Outputs of one batch, in the order of its requests, and its timing; `notes` are facts for the record
    (``out of memory: batch of 32 halved to 16``)."""

    outputs: tuple[Output, ...]
    timing: Timing
    notes: tuple[str, ...] = ()


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a batch ran. `batch` holds what was finished; its other outputs are errors."""

    def __init__(self, batch: Batch) -> None:
        super().__init__()
        self.batch = batch


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Facts about a loaded model, for the record. Unknown is None.

    Attributes:
        engine: name and version of the back end, e.g. ``transformers 5.23.0``.
        kernel: what runs the (quantised) linear layers, e.g. ``torch.nn.Linear`` or gptqmodel's kernel class.
        device, dtype: where and in what the model runs.
        load_s: seconds to load the weights, where some were loaded. model_bytes: bytes of the weight files on disk.
        context_tokens: longest prompt plus answer.
        weights_sha256, tokenizer_sha256, template_sha256: content identities of what was loaded.
        extra: plain data (quantisation configuration, package versions).
    """

    engine: str
    kernel: str
    device: str
    dtype: str
    load_s: float | None
    model_bytes: int | None
    context_tokens: int | None
    weights_sha256: str
    tokenizer_sha256: str
    template_sha256: str
    extra: Mapping[str, object] = field(default_factory=dict)


class Engine(Protocol):
    """A loaded model. Made by `quantize.load_model.make_engine`, closed before the next model is loaded."""

    capabilities: Capability
    info: EngineInfo

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Cut a window into batches of indices into `requests`. Deterministic; every index once."""
        ...

    def run(self, requests: Sequence[Request]) -> Batch:
        """Answer one batch. A request that cannot be answered alone (too long a prompt) gets an `Output` with `error`;
        an exception means that the whole batch failed (the caller bisects it)."""
        ...

    def close(self) -> None:
        """Free the model's memory."""
        ...


@runtime_checkable
class Particular(Protocol):
    """An engine whose `capabilities` do not decide alone which requests it can answer."""

    def lacks(self, request: Request) -> str | None:
        """Why this engine cannot answer requests like this one, as the end of a sentence; None: it can."""
        ...


@runtime_checkable
class Rendering(Protocol):
    """An engine that renders prompts itself, and can show them."""

    def rendered(self, request: Request) -> list[str]:
        """The texts that are fed for a request, before any choice, with special tokens as the tokenizer writes them."""
        ...


@runtime_checkable
class Filling(Protocol):
    """An engine that can tell which tokens are likeliest in a gap of a text."""

    def fill(self, text: str, mark: str, most: int) -> Batch:
        """The likeliest tokens at the only `mark` in a text, one a line with its probability, at most `most`.

        Raises:
            UsageError: the text has no mark or several, or the model was not trained to fill gaps.
        """
        ...


def unable(engine: Engine, request: Request) -> str | None:
    """Why a loaded model cannot answer requests like this one, as the end of a sentence; None: it can."""
    return engine.lacks(request) if isinstance(engine, Particular) else lacking(engine.capabilities, request)
