"""The engine for causal language models in ONNX: choices and generation.

Within one request the keys and values of what was fed are kept, where the graph takes them, and only what is new is
fed. Other graphs are fed the whole text again for every new token. Next tokens are guessed from the text, and checked.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
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
from pytest_slmsec.engines.common.base import GUESSED, Engine, EngineInfo
from pytest_slmsec.engines.common.checkpoint import MANIFEST, Checkpoint, onnx_files, read_config, read_json
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import context_tokens, load_tokenizer, template_sha256, tokenizer_sha256
from pytest_slmsec.engines.common.quantized_share import FACT
from pytest_slmsec.engines.common.settings import EngineSettings, ThinkingSettings
from pytest_slmsec.engines.decoding.answering import Answering, Tally, chosen_output
from pytest_slmsec.engines.decoding.drafts import DRAFTED
from pytest_slmsec.engines.decoding.greedy import Row
from pytest_slmsec.engines.decoding.uncached import Logits, choose_uncached, generate_uncached
from pytest_slmsec.engines.onnx_.graph import CAUSAL, Graph
from pytest_slmsec.engines.onnx_.prefix import KnownPrefix
from pytest_slmsec.engines.prompting.encoded import Encoded

MOST_REQUESTS = 16
"""Most requests of a batch. They run one after the other; finished answers are journaled when the batch ends."""


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> Engine:
    """Load an exported model.

    Raises:
        ModelError: a file is missing or damaged, or was not exported by this project.
        MissingExtraError: a package is missing.
        UsageError: a device other than the CPU, or a dtype other than fp32, was asked for.
    """
    if spec.quant in DTYPES or settings.dtype not in ("auto", "fp32"):
        wanted = spec.quant if spec.quant in DTYPES else settings.dtype
        raise UsageError(f"{spec.name}: an ONNX model computes as it was exported, in fp32: leave out {wanted}.")
    if settings.device not in ("auto", "cpu"):
        raise UsageError(f"--slmsec-device={settings.device}: ONNX models run on the CPU here; say cpu.")
    config = load_config(Checkpoint(directory, read_config(directory), onnx_files(directory), {}))
    tokenizer = load_tokenizer(directory)
    began = time.perf_counter()
    graph = Graph(directory)
    info = describe(directory, graph, spec, settings, config, tokenizer, time.perf_counter() - began)
    if graph.facts.kind == CAUSAL:
        embedded = getattr(config.get_text_config(), "vocab_size", None)
        ends = _ends(directory, config, tokenizer)
        drafted = DRAFTED[info.device] if settings.guesses and graph.facts.guessable else 0
        if drafted:
            info = replace(info, extra={**info.extra, GUESSED: drafted})
        return OnnxEngine(graph, tokenizer, ends, info, settings.thinking, embedded, drafted)
    from pytest_slmsec.engines.onnx_.encoders import encoder_engine

    return encoder_engine(directory, graph, config, tokenizer, info, settings)


def describe(
    directory: Path, graph: Graph, spec: ModelSpec, settings: EngineSettings, config: Any, tokenizer: Any, load_s: float
) -> EngineInfo:
    """Facts about a loaded graph, for the record."""
    files, manifest = onnx_files(directory), directory / MANIFEST
    made = {"manifest": read_json(manifest)} if manifest.is_file() else {}
    return EngineInfo(
        engine=f"onnxruntime {graph.version}",
        kernel=graph.facts.kernel,
        device="cpu",
        dtype="float32",
        load_s=load_s,
        model_bytes=sum(path.stat().st_size for path in files),
        context_tokens=context_tokens(spec, config),
        weights_sha256=weights_sha256(files, settings.cache_dir),
        tokenizer_sha256=tokenizer_sha256(tokenizer),
        template_sha256=template_sha256(tokenizer),
        extra={
            "architecture": (config.architectures or [type(config).__name__])[0],
            "key_value_cache": graph.facts.cached,
            "opsets": graph.facts.opsets,
            "operators": graph.facts.operators,
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "quantization": {"method": "onnx", **made},
            **({FACT: graph.facts.share.plain()} if graph.facts.share.quantized else {}),
        },
    )


def _ends(directory: Path, config: Any, tokenizer: Any) -> frozenset[int]:
    own = (directory / "generation_config.json").is_file()
    generation = GenerationConfig.from_pretrained(directory) if own else GenerationConfig.from_model_config(config)
    return end_ids(SimpleNamespace(config=config, generation_config=generation), tokenizer)


class OnnxEngine(Answering):
    """Answers requests with a loaded graph; see `engines.common.base.Engine`.

    Args:
        drafted: most next tokens that are guessed in one step.
    """

    _shares = False

    def __init__(
        self, graph: Graph, tokenizer: Any, ends: frozenset[int], info: EngineInfo,
        thinking: ThinkingSettings | None = None, embedded: int | None = None, drafted: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(tokenizer, ends, info, thinking, embedded)
        self._drafted = drafted
        self._known: KnownPrefix | None = KnownPrefix(graph)

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Batches of one kind, in order."""
        batches: list[list[int]] = []
        for kind in dict.fromkeys(map(type, requests)):
            mine = [at for at, request in enumerate(requests) if type(request) is kind]
            batches += [mine[start : start + MOST_REQUESTS] for start in range(0, len(mine), MOST_REQUESTS)]
        return batches

    def logits(self, tokens: Sequence[int], start: int = 0) -> torch.Tensor:
        """Logits of the next token after each token of a text from index `start` on: [positions, vocabulary]."""
        assert self._known is not None
        self._known.forget()
        return self._known.logits(tokens, start)

    def close(self) -> None:
        """Free the model's memory."""
        self._known = None
        self._encoded.clear()

    def _answers(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        """Outputs by index; requests are answered one after the other.

        Raises:
            EngineError: onnxruntime failed; names the item.
        """
        return {index: self._answer(requests[index], encoded[index], tally) for index in asked}

    def _answer(self, request: Request, encoded: Encoded, tally: Tally) -> Output:
        assert self._known is not None
        self._known.forget()  # an answer must not depend on what was asked before
        try:
            if isinstance(request, Choose):
                began = self._now()
                found = [choose_uncached(self._known.logits, tree) for tree in encoded.trees()]
                tally.prefill_s += self._now() - began
                return chosen_output(request, encoded, found)
            assert isinstance(request, Generate)
            row = self._row(request, encoded)
            self._generate(self._known.logits, row, tally)
            return self._generated(request, encoded, row)
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"{request.id}: onnxruntime failed: {' '.join(str(error).split())[:200]}.") from error

    def _generate(self, logits: Logits, row: Row, tally: Tally) -> None:
        """Generate in place."""
        began = self._now()
        timing = generate_uncached(logits, row, self._ends, self._now, self._drafted)
        tally.prefill_s += timing.prefill_s
        tally.decode_s = (tally.decode_s or 0.0) + timing.decode_s
        if tally.first_token_s is None and timing.first_token_s is not None:
            tally.first_token_s = began - tally.began + timing.first_token_s
