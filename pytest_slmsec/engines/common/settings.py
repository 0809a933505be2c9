"""Settings of how a model is executed. None of them changes the prompts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from pytest_slmsec.core import paths

Progress = Callable[[str, float], None]
"""Called with a description of the current step and the fraction that is done, 0.0 to 1.0."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """How models behind a server are asked.

    Attributes:
        base_url: where, for models whose registry entry does not say; several: servers that run the same model.
        key_variable: environment variable that holds the key; None: the usual ones.
        concurrency: most requests in flight to each server. timeout_s: the longest that one may take.
        attempts: how often one is sent in all. backoff_s: most seconds to wait before the second; doubled each time up
            to a minute.
        longest_wait_s: most seconds that a request waits because the server asks it to (Retry-After), counted from the
            last answer that the server gave to any request.
    """

    base_url: str | tuple[str, ...] | None = None
    key_variable: str | None = None
    concurrency: int = 8
    timeout_s: float = 120.0
    attempts: int = 8
    backoff_s: float = 0.5
    longest_wait_s: float = 180.0


DEFAULT_THOUGHT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class ThinkingSettings:
    """Whether models that can think before they answer do so; part of what an answer depends on.

    Attributes:
        asked: ``auto`` (as the chat template does by itself), ``on`` or ``off``.
        template: further variables of the chat template, by name, with plain values.
        thought_tokens: most tokens of a thought; the token limit of a benchmark is for the answer behind it.
    """

    asked: str = "auto"
    template: tuple[tuple[str, bool | int | float | str | None], ...] = ()
    thought_tokens: int = DEFAULT_THOUGHT_TOKENS


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """How models are loaded and run.

    Attributes:
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        dtype: ``auto`` (fp32 on a CPU, the checkpoint's own elsewhere), ``fp32``, ``bf16`` or ``fp16``. A dtype in the
            model's name goes first.
        batch_tokens: rows times padded length of a batch; None for the device's default.
        max_batch: most requests in a batch.
        packing: score and generate without computing a token twice where the model allows it; otherwise in padded
            batches.
        guesses: on a CPU, guess the next tokens of an answer from its own text and check several in one step
            (`engines.decoding.drafts`). No text changes, but the decode speed then depends on how much a text repeats.
        rescore_fragile: score again in fp32 what hangs on numeric noise.
        merge_adapter: add a LoRA adapter to the weights, instead of computing it beside them.
        adapter_base_same: the base that an adapter names has the same weights as the one it is loaded over, says the
            user.
        offline: never ask the Hugging Face hub; what it downloaded before is still used.
        cache_dir: where quantised models and the digests of large files are kept; made on first use.
        progress: called with each step of a quantisation, or None.
        notice: called with one line about a wait that the user should know of, or None.
        server: how models behind a server are asked.
        thinking: whether reasoning models think.
    """

    device: str = "auto"
    dtype: str = "auto"
    batch_tokens: int | None = None
    max_batch: int = 64
    packing: bool = True
    guesses: bool = True
    rescore_fragile: bool = False
    merge_adapter: bool = False
    adapter_base_same: bool = False
    offline: bool = False
    cache_dir: Path = field(default_factory=paths.cache_dir)
    progress: Progress | None = None
    notice: Callable[[str], None] | None = None
    server: ServerSettings = field(default_factory=ServerSettings)
    thinking: ThinkingSettings = field(default_factory=ThinkingSettings)

    def report(self, what: str, fraction: float) -> None:
        """Call `progress` where it is set."""
        if self.progress is not None:
            self.progress(what, fraction)
