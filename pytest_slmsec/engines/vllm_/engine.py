"""The engine for models that vLLM runs: prompts are rendered and tokenised here, as for every other engine.

Reference: https://docs.vllm.ai/en/stable/api/vllm/sampling_params.html (`logprob_token_ids`, `prompt_logprobs`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from transformers import GenerationConfig

from pytest_slmsec.core.errors import EngineError, UsageError
from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.engines.causal_lm.causal import end_ids
from pytest_slmsec.engines.causal_lm.transformers_ import load_config
from pytest_slmsec.engines.common.base import Capability, EngineInfo
from pytest_slmsec.engines.common.checkpoint import Checkpoint, read_checkpoint
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import (
    context_tokens,
    load_tokenizer,
    template_sha256,
    tokenizer_sha256,
)
from pytest_slmsec.engines.common.settings import EngineSettings, ThinkingSettings
from pytest_slmsec.engines.decoding.answering import Answering, Tally, chosen_output
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens
from pytest_slmsec.engines.prompting.without_embedding import check_vocabulary
from pytest_slmsec.engines.vllm_.invariance import Invariance, measured
from pytest_slmsec.engines.vllm_.library import LoadRequest, Vllm

MOST_REQUESTS = 256
"""Most requests in a batch; vLLM divides it by itself. Answers are journaled when the batch ends."""
VLLM_DTYPES = {"auto": "auto", "fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> VllmEngine:
    """Load a model directory with vLLM.

    Raises:
        ModelError: vLLM is not installed or cannot load it, or a file is missing or damaged.
        UsageError: the model's name has a quantisation, or this vLLM does not run on the device.
    """
    if spec.quant is not None and spec.quant not in DTYPES:
        raise UsageError(
            f"{spec.name}: vLLM loads a quantised model from its own directory, as vllm:PATH, without -{spec.quant}."
        )
    checkpoint = read_checkpoint(directory)
    config, tokenizer = load_config(checkpoint), load_tokenizer(directory)
    check_vocabulary(directory, tokenizer, config.get_text_config().vocab_size)
    dtype = VLLM_DTYPES[spec.quant or settings.dtype]
    began = time.perf_counter()
    vllm = Vllm(LoadRequest(directory, dtype, context_tokens(spec, config), settings.device))
    load_s = time.perf_counter() - began
    found = measured(vllm, config.get_text_config().vocab_size)
    info = describe(spec, settings, checkpoint, config, tokenizer, vllm, load_s, found)
    return VllmEngine(vllm, tokenizer, _ends(directory, config, tokenizer), info, settings.thinking,
                      config.get_text_config().vocab_size)  # fmt: skip


def describe(
    spec: ModelSpec, settings: EngineSettings, checkpoint: Checkpoint, config: Any, tokenizer: Any, vllm: Vllm,
    load_s: float, found: Invariance,
) -> EngineInfo:  # fmt: skip
    """Facts about a loaded model, for the record. `deviation_nats`: choices closer than twice that count as fragile."""
    return EngineInfo(
        engine=f"vllm {vllm.version}",
        kernel=f"vLLM, attention {vllm.attention}",
        device=vllm.device,
        dtype=vllm.dtype,
        load_s=load_s,
        model_bytes=checkpoint.weight_bytes,
        context_tokens=context_tokens(spec, config) or vllm.context_tokens,
        weights_sha256=weights_sha256(checkpoint.weights, settings.cache_dir),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        template_sha256=template_sha256(tokenizer),
        extra={
            "architecture": (config.architectures or [type(config).__name__])[0],
            "attention": vllm.attention,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "invariance": found.plain(),
            "deviation_nats": found.deviation_nats,
        },
    )


def _ends(directory: Path, config: Any, tokenizer: Any) -> frozenset[int]:
    own = (directory / "generation_config.json").is_file()
    generation = GenerationConfig.from_pretrained(directory) if own else GenerationConfig.from_model_config(config)
    return end_ids(SimpleNamespace(config=config, generation_config=generation), tokenizer)


class VllmEngine(Answering):
    """Answers requests with vLLM; see `engines.common.base.Engine`."""

    capabilities = Capability.CHOICE | Capability.GENERATE | Capability.PROMPT_TOKENS | Capability.TIMINGS
    _shares = False

    def __init__(
        self, vllm: Vllm, tokenizer: Any, ends: frozenset[int], info: EngineInfo,
        thinking: ThinkingSettings | None = None, embedded: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(tokenizer, ends, info, thinking, embedded)
        self._vllm = vllm

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Batches of one kind, in order."""
        batches: list[list[int]] = []
        for kind in dict.fromkeys(map(type, requests)):
            mine = [at for at, request in enumerate(requests) if type(request) is kind]
            batches += [mine[start : start + MOST_REQUESTS] for start in range(0, len(mine), MOST_REQUESTS)]
        return batches

    def logits(self, tokens: Sequence[int], start: int = 0) -> torch.Tensor:
        """Natural-log probabilities of the whole vocabulary, which are logits too; see `Answering.logits`."""
        rows = [self._vllm.next_logprobs(tuple(tokens[: at + 1])) for at in range(start, len(tokens))]
        return torch.tensor(rows)

    def close(self) -> None:
        """Free the model's memory."""
        self._vllm.close()
        self._encoded.clear()

    def _answers(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        """Outputs by index.

        Raises:
            EngineError: vLLM failed.
        """
        try:
            if isinstance(requests[asked[0]], Choose):
                return self._choose(asked, requests, encoded, tally)
            return self._generate(asked, requests, encoded, tally)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{requests[asked[0]].id}: vLLM failed: {' '.join(str(error).split())[:200]}.") from error

    def _choose(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        began = self._now()
        trees = {at: encoded[at].trees() for at in asked}
        found = iter(self._scores([tree for at in asked for tree in trees[at]]))
        scored = {at: [next(found) for _ in trees[at]] for at in asked}
        tally.prefill_s += self._now() - began
        outputs: dict[int, Output] = {}
        for at in asked:
            request = requests[at]
            assert isinstance(request, Choose)
            outputs[at] = chosen_output(request, encoded[at], scored[at])
        return outputs

    def _scores(self, trees: Sequence[Encoded]) -> list[ChoiceScores]:
        """Scores of questions: of one-token choices from one prompt, else the prompt with each choice is scored."""
        short = [all(len(choice) == 1 for choice in tree.choices) for tree in trees]
        firsts = [tree for tree, one in zip(trees, short, strict=True) if one]
        branches: dict[tuple[Tokens, int], None] = {}
        for tree, one in zip(trees, short, strict=True):
            if not one:
                branches.update(dict.fromkeys(_branches(tree)))
        of_tokens = iter(self._vllm.token_scores([(tree.prompt, [choice[0] for choice in tree.choices])
                                                  for tree in firsts]))  # fmt: skip
        of_ends = dict(zip(branches, self._vllm.end_scores(list(branches)), strict=True))
        found = []
        for tree, one in zip(trees, short, strict=True):
            scores = next(of_tokens) if one else [of_ends[branch] for branch in _branches(tree)]
            found.append(ChoiceScores(tuple(score.logprob for score in scores), tuple(score.best for score in scores)))
        return found

    def _generate(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        rows: dict[int, Row] = {}
        for at in asked:
            request = requests[at]
            assert isinstance(request, Generate)
            rows[at] = self._row(request, encoded[at])
        began = self._now()
        first_s = self._vllm.generate(list(rows.values()), self._ends, self._now)
        ended = self._now()
        first = ended if first_s is None else first_s
        tally.prefill_s += first - began
        tally.decode_s = (tally.decode_s or 0.0) + ended - first
        if tally.first_token_s is None:
            tally.first_token_s = first - tally.began
        outputs: dict[int, Output] = {}
        for at, row in rows.items():
            request = requests[at]
            assert isinstance(request, Generate)
            outputs[at] = self._generated(request, encoded[at], row)
        return outputs


def _branches(tree: Encoded) -> list[tuple[Tokens, int]]:
    """The prompt with each choice, and how many of the last tokens are scored."""
    return [((*tree.prompt, *choice), count) for choice, count in zip(tree.choices, tree.counted, strict=True)]
