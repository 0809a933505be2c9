"""The engine for GGUF files: llama.cpp, several answers at a time in one context.

Prompts are rendered and tokenised as for every other engine. If the model is a directory with a Hugging Face tokenizer,
that one is used, so that a quantised model reads the same tokens as its base. A file without one is read with its own
vocabulary and chat template. The shared beginning of all prompts of a benchmark is computed once, and so is a prompt
for all of its choices. Nothing else is reused, so that an answer does not depend on earlier requests. Questions by
choice are scored one after the other; answers are generated in slots, and each prompt is read by itself.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from pytest_slmsec.core.errors import EngineError, ModelError, UsageError
from pytest_slmsec.core.items import Choose, Generate, Output, Request
from pytest_slmsec.core.models import DTYPES, ModelSpec
from pytest_slmsec.engines.causal_lm.causal import end_ids
from pytest_slmsec.engines.common.base import EngineInfo
from pytest_slmsec.engines.common.checkpoint import MANIFEST, find_gguf, read_json
from pytest_slmsec.engines.common.digests import weights_sha256
from pytest_slmsec.engines.common.loading import load_tokenizer, template_sha256, tokenizer_sha256
from pytest_slmsec.engines.common.quantized_share import FACT, Weight, count_weights
from pytest_slmsec.engines.common.settings import EngineSettings, ThinkingSettings
from pytest_slmsec.engines.decoding.answering import Answering, Tally, chosen_output
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores, combine_token_scores, score_tokens
from pytest_slmsec.engines.decoding.greedy import Row, append_next_tokens
from pytest_slmsec.engines.llamacpp.context import BF16, F16, F32, PREFIX, Context, LlamaModel, Logits
from pytest_slmsec.engines.llamacpp.gguf_file import TOKENS, GgufFile, read_gguf, shards
from pytest_slmsec.engines.llamacpp.library import import_llama, kernel, n_threads, require_llama, system_info
from pytest_slmsec.engines.llamacpp.probe import check_loads
from pytest_slmsec.engines.llamacpp.vocabulary import GgufTokenizer, check_tokens
from pytest_slmsec.engines.prompting.batching import continuation_rows
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens

MOST_REQUESTS = 32
"""Most requests in a batch; answers are journaled when the batch ends."""
MOST_SLOTS = 16
"""Most answers that are generated at a time."""
FIRST = 1
"""The slot of what runs alone."""
CRAMPED = "llama.cpp answers {slots} at a time: memory is short for the keys and values of more ({tokens} tokens each)"
KV_TYPES: Mapping[str, tuple[str, int]] = {
    "auto": ("f16", F16),
    "fp16": ("f16", F16),
    "fp32": ("f32", F32),
    "bf16": ("bf16", BF16),
}
"""From --slmsec-dtype to the type of keys and values: llama.cpp's name, ggml's number. f16 is llama.cpp's default."""
FULL_PRECISION = ("F64", "F32", "F16", "BF16")
LAYER = "blk."
"""What the names of tensors in layers begin with; embeddings and the output head have other names."""
HUGGING_FACE = "the Hugging Face tokenizer"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")


@dataclass(frozen=True, slots=True)
class TokenizerInUse:
    """The tokenizer of a model.

    Attributes:
        tokenizer: Hugging Face's, or the file's own. ends: ids that end a text.
        sha256: identity of the tokenizer. by: where it comes from, for the record.
        embedded: number of tokens of the file.
    """

    tokenizer: Any
    ends: frozenset[int]
    sha256: str
    by: str
    embedded: int


def load(directory: Path, spec: ModelSpec, settings: EngineSettings) -> LlamaCppEngine:
    """Load a GGUF file, or a directory with one.

    Raises:
        ModelError: the file is damaged, is no language model, or the tokenizer beside it is another model's.
        MissingExtraError: llama-cpp-python is not installed.
        UsageError: there is no such device, or the model's name has a dtype.
    """
    path = find_gguf(directory)
    if path is None:
        raise ModelError(f"{directory} has no *.gguf file: name one, or a directory that holds one.")
    if spec.quant in DTYPES:
        raise UsageError(f"{spec.name}: the weights of a GGUF file are as they are stored: leave out -{spec.quant}.")
    require_llama()
    parts = shards(path)
    files = [read_gguf(part) for part in parts]
    file = files[0]
    check_loads(path)
    gpu = _pick_gpu(settings.device)
    began = time.perf_counter()
    model = LlamaModel(path, gpu)
    load_s = time.perf_counter() - began
    in_use = _tokenizer_in_use(directory, model, file)
    kv_name, kv_type = KV_TYPES.get(settings.dtype, KV_TYPES["auto"])
    info = EngineInfo(
        engine=f"llama-cpp-python {import_llama().__version__}",
        kernel=kernel(),
        device="cpu" if gpu is None else "gpu",
        dtype=f"{file_type(file)}, keys and values {kv_name}",
        load_s=load_s,
        model_bytes=sum(part.stat().st_size for part in parts),
        context_tokens=min(filter(None, (spec.context_tokens, model.context_tokens))),
        weights_sha256=weights_sha256(parts, settings.cache_dir),
        tokenizer_sha256=in_use.sha256,
        template_sha256=template_sha256(in_use.tokenizer),
        extra={
            "architecture": file.architecture,
            "system_info": system_info(),
            "threads": n_threads(),
            "tokens_by": in_use.by,
            **({"transformers": version("transformers")} if in_use.by == HUGGING_FACE else {}),
            "quantization": quantization_facts(path, file),
            **quantized_facts(files),
        },
    )
    slots = min(MOST_SLOTS, settings.max_batch)
    return LlamaCppEngine(model, Context(model, kv_type, slots), in_use, info, settings.thinking)


class LlamaCppEngine(Answering):
    """Answers requests with a loaded GGUF model; see `engines.common.base.Engine`."""

    def __init__(
        self, model: LlamaModel, context: Context, in_use: TokenizerInUse, info: EngineInfo,
        thinking: ThinkingSettings | None = None,
    ) -> None:  # fmt: skip
        super().__init__(in_use.tokenizer, in_use.ends, info, thinking, in_use.embedded)
        self._model, self._context = model, context
        self._prefix: Tokens = ()

    def plan(self, requests: Sequence[Request]) -> list[list[int]]:
        """Batches of one kind each; requests with the same shared beginning are next to each other."""
        encoded = self._encode(requests)
        kinds = [type(request).__name__ for request in requests]
        keys = [(kind, one.prompt[: one.shared]) for kind, one in zip(kinds, encoded, strict=True)]
        order = sorted(range(len(requests)), key=lambda at: keys[at])
        batches: list[list[int]] = []
        for at in order:
            if not batches or len(batches[-1]) == MOST_REQUESTS or kinds[batches[-1][0]] != kinds[at]:
                batches.append([])
            batches[-1].append(at)
        return batches

    def logits(self, tokens: Sequence[int], start: int = 0) -> torch.Tensor:
        """Logits of the next token after each position from `start` on: float32, (positions, vocabulary)."""
        self._context.reserve(len(tokens))
        self._context.keep(FIRST, 0)
        if start:
            self._context.feed(FIRST, tokens[:start])
        return torch.from_numpy(self._context.logits(FIRST, tokens[start:]))

    def close(self) -> None:
        """Free the model's memory."""
        self._context.close()
        self._model.close()
        self._encoded.clear()

    def _answers(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        """Outputs by index: questions one after the other, answers in slots.

        Raises:
            EngineError: llama.cpp failed; the message names the item.
        """
        if isinstance(requests[asked[0]], Generate):
            return self._generate(asked, requests, encoded, tally)
        outputs: dict[int, Output] = {}
        for at in asked:
            request = requests[at]
            assert isinstance(request, Choose)
            with _named(request):
                scores = [self._score_choices(tree, tally) for tree in encoded[at].trees()]
            outputs[at] = chosen_output(request, encoded[at], scores)
        return outputs

    def _score_choices(self, encoded: Encoded, tally: Tally) -> ChoiceScores:
        fed = continuation_rows(encoded.choices)
        self._context.reserve(encoded.longest)
        logits = torch.from_numpy(self._prefilled(FIRST, encoded.prompt, encoded.shared, tally))
        firsts = score_tokens(logits, [choice[0] for choice in encoded.choices])
        rows = dict(zip(fed, map(torch.from_numpy, self._context.branches(FIRST, fed)), strict=True))
        return combine_token_scores(encoded, firsts, rows)

    def _generate(
        self, asked: list[int], requests: Sequence[Request], encoded: Sequence[Encoded], tally: Tally
    ) -> dict[int, Output]:
        """Generate, one token a slot in each step; a slot takes the next prompt when its answer has ended."""
        generates = {at: request for at in asked if isinstance(request := requests[at], Generate)}
        rows = {at: self._row(request, encoded[at]) for at, request in generates.items()}
        longest = max(len(row.prompt) + row.longest for row in rows.values())
        with _named(*generates.values()):
            self._context.reserve(longest)
        if self._context.cramped:
            tally.notes.append(CRAMPED.format(slots=self._context.slots, tokens=self._context.size))
        waiting, running = deque(asked), dict[int, int]()
        free = list(range(self._context.slots, 0, -1))
        while waiting or running:
            while waiting and free:
                at, slot = waiting.popleft(), free.pop()
                with _named(generates[at]):
                    logits = self._prefilled(slot, rows[at].prompt, rows[at].shared, tally)
                if tally.first_token_s is None:
                    tally.first_token_s = self._now() - tally.began
                append_next_tokens([rows[at]], torch.from_numpy(logits)[None], self._ends)
                running[slot] = at
                self._release(running, rows, free)
            if running:
                began = self._now()
                with _named(*(generates[at] for at in running.values())):
                    stepped = self._context.step({slot: rows[at].tokens[-1] for slot, at in running.items()})
                append_next_tokens([rows[at] for at in running.values()], torch.from_numpy(stepped), self._ends)
                self._release(running, rows, free)
                tally.decode_s = (tally.decode_s or 0.0) + self._now() - began
        tally.decode_s = tally.decode_s or 0.0
        return {at: self._generated(request, encoded[at], rows[at]) for at, request in generates.items()}

    @staticmethod
    def _release(running: dict[int, int], rows: Mapping[int, Row], free: list[int]) -> None:
        """Free the slots of answers that have ended."""
        for slot in [slot for slot, at in running.items() if not rows[at].running]:
            del running[slot]
            free.append(slot)

    def _prefilled(self, slot: int, prompt: Sequence[int], shared: int, tally: Tally) -> Logits:
        """Feed a prompt to a slot; logits after it: float32, (vocabulary,). `shared`: tokens of its shared prefix."""
        began = self._now()
        self._start(slot, tuple(prompt[:shared]))
        logits = self._context.feed(slot, prompt[shared:])
        tally.prefill_s += self._now() - began
        return logits

    def _start(self, slot: int, prefix: Tokens) -> None:
        """Let a slot hold a shared prefix alone, which is computed first if it is not in the cache."""
        if not prefix:
            self._context.keep(slot, 0)
            return
        if prefix != self._prefix or len(self._context.tokens[PREFIX]) < len(prefix):
            self._context.keep(PREFIX, 0)
            self._prefix = prefix
            self._context.feed(PREFIX, prefix)
        if tuple(self._context.tokens[slot][: len(prefix)]) == prefix:
            self._context.keep(slot, len(prefix))
        else:
            self._context.copy(PREFIX, slot)


@contextmanager
def _named(*requests: Request) -> Iterator[None]:
    """Puts the items in front of what llama.cpp says is wrong."""
    try:
        yield
    except EngineError as error:
        further = f" and {len(requests) - 1} more" if len(requests) > 1 else ""
        raise EngineError(f"{requests[0].id}{further}: {error}") from error


def _pick_gpu(device: str) -> int | None:
    """Index of the GPU to run on; None for the CPU.

    Raises:
        UsageError: llama.cpp was not built for the device.
    """
    name, _, index = device.partition(":")
    able = bool(import_llama().llama_supports_gpu_offload())
    if device == "cpu" or (device == "auto" and not able):
        return None
    if not able or (name not in ("auto", "cuda", "mps")) or not (index or "0").isdigit():
        raise UsageError(
            f"--slmsec-device={device}: llama.cpp as it is installed here computes on the CPU only: say cpu, or build "
            "llama-cpp-python for your GPU (its README says how)."
        )
    return int(index or 0)


def _tokenizer_in_use(directory: Path, model: LlamaModel, file: GgufFile) -> TokenizerInUse:
    """The tokenizer beside the file if the model is a directory with one, else the file's own."""
    embedded = len(file.metadata[TOKENS])
    if not directory.is_dir() or not any((directory / name).is_file() for name in TOKENIZER_FILES):
        own = GgufTokenizer(model, file)
        return TokenizerInUse(own, own.ends, own.sha256, "the GGUF file", embedded)
    tokenizer = load_tokenizer(directory)
    check_tokens(file, tokenizer)
    paths = {name: directory / f"{name}.json" for name in ("config", "generation_config")}
    parts = {name: SimpleNamespace(**_json_if_there(path)) for name, path in paths.items()}
    ends = end_ids(SimpleNamespace(**parts), tokenizer)
    return TokenizerInUse(tokenizer, ends, tokenizer_sha256(tokenizer), HUGGING_FACE, embedded)


def _json_if_there(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.is_file() else {}


def file_type(file: GgufFile) -> str:
    """llama.cpp's name for the quantisation of most weights, such as ``Q4_K - Medium``."""
    number = file.metadata.get("general.file_type")
    named = import_llama().llama_ftype_name(number) if isinstance(number, int) else None
    return str(named.decode()) if named else next(iter(file.kinds), "unknown")


def quantized_facts(files: Sequence[GgufFile]) -> dict[str, object]:
    """The share of the layers' weights that is quantised, under the key `FACT`; {} where none is (an F16 file)."""
    share = count_weights(
        Weight(tensor.name, math.prod(tensor.shape), tensor.kind not in FULL_PRECISION)
        for file in files
        for tensor in file.tensors
        if tensor.name.startswith(LAYER) and len(tensor.shape) > 1
    )
    return {FACT: share.plain()} if share.quantized else {}


def quantization_facts(path: Path, file: GgufFile) -> dict[str, object]:
    """For the record: tensor types, bits a weight, and the manifest if this project made the file."""
    manifest = path.parent / MANIFEST
    return {
        "method": "gguf",
        "file_type": file_type(file),
        "tensor_types": file.kinds,
        "bits_per_weight": round(file.bits_per_weight, 3),
    } | ({"manifest": read_json(manifest)} if manifest.is_file() else {})
