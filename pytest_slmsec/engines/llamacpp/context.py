"""A loaded GGUF model, and a context: token ids of several sequences in, logits out, keys and values kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import EngineError, ModelError
from pytest_slmsec.engines.llamacpp.library import complaints, import_llama, n_threads, reason
from pytest_slmsec.meters.free_memory import free_memory

Logits = NDArray[np.float32]
FEED = 512
"""Most tokens in one call of llama.cpp. Fixed, so that the same text is always computed in the same pieces."""
SMALLEST = 512
"""Tokens that a sequence holds at first. It doubles when more are needed, so that memory grows with the requests."""
PREFIX = 0
"""The sequence that holds a shared prefix."""
BRANCHES = 4
"""Rows of one question that are computed together."""
MEMORY_SHARE = 0.5
"""Of the memory that is free, at most this share is taken for keys and values."""
ALL_LAYERS = -1
UNKNOWN = "unknown model architecture"
F32, F16, BF16 = 0, 1, 30
"""ggml's type numbers for keys and values (``ggml.h``)."""
KV_BYTES = {F32: 4, F16: 2, BF16: 2}


class LlamaModel:
    """Weights and vocabulary of a GGUF file.

    Args:
        path: a file that `gguf_file.read_gguf` has checked. gpu: index of the GPU to put all layers on, or None.
        check: also fail on stored values that are not finite.

    Raises:
        ModelError: llama.cpp refuses the file, or it is no causal language model.
    """

    def __init__(self, path: Path, gpu: int | None, check: bool = False) -> None:
        self._lib = import_llama()
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = 0 if gpu is None else ALL_LAYERS
        params.split_mode = self._lib.LLAMA_SPLIT_MODE_NONE
        params.main_gpu = gpu or 0
        params.check_tensors = check
        with complaints() as lines:
            self.pointer = self._lib.llama_model_load_from_file(str(path).encode(), params)
            if not self.pointer:
                why = reason(lines)
                raise ModelError(f"{path} cannot be loaded by llama.cpp ({why}): {_remedy(why)}.")
        if self._lib.llama_model_has_encoder(self.pointer) or not self._lib.llama_model_has_decoder(self.pointer):
            self.close()
            raise ModelError(f"{path} is no causal language model: it encodes text, and generates none by itself.")
        self.vocab = self._lib.llama_model_get_vocab(self.pointer)
        self.n_vocab = int(self._lib.llama_vocab_n_tokens(self.vocab))
        self.context_tokens = int(self._lib.llama_model_n_ctx_train(self.pointer))
        self.kv_values = self._kv_values()

    def _kv_values(self) -> int:
        """Numbers that are kept for each token if every layer keeps keys and values: what a cache takes at most."""
        lib, model = self._lib, self.pointer
        heads = max(1, int(lib.llama_model_n_head(model)))
        size = int(lib.llama_model_n_embd(model)) / heads
        return int(2 * lib.llama_model_n_layer(model) * max(1, int(lib.llama_model_n_head_kv(model))) * size)

    def close(self) -> None:
        """Free the weights."""
        if self.pointer:
            self._lib.llama_model_free(self.pointer)
            self.pointer = None


def _remedy(why: str) -> str:
    if UNKNOWN in why:
        return f"update llama-cpp-python, of which {import_llama().__version__} is installed, or use another model"
    return "fetch or make it again"


class Context:
    """Several sequences of tokens, each with keys and values of its own. Tokens are appended and cut off at the end.

    Sequence `PREFIX` is for what is copied into others; the slots are numbered from 1. Each has its own part of the
    cache (llama.cpp's ``kv_unified`` is off), so that attention to one sequence is computed as if it were alone.

    The number of slots does not follow the requests: the last bits of llama.cpp's logits depend on it.

    Args:
        kv_type: ggml's type number for keys and values (`F32`, `F16`, `BF16`). slots: how many are wanted.

    Attributes:
        size: tokens that fit into a sequence. slots: number of slots there are.
        tokens: those in the cache, by sequence.
    """

    def __init__(self, model: LlamaModel, kv_type: int, slots: int) -> None:
        self._lib = import_llama()
        self._model = model
        self._kv_type = kv_type
        self._wanted = slots
        self._pointer: Any = None
        self._batch = self._lib.llama_batch_init(FEED, 0, 1)
        self._views = {name: np.ctypeslib.as_array(getattr(self._batch, name), (FEED,))
                       for name in ("token", "pos", "n_seq_id", "logits")}  # fmt: skip
        self._views["n_seq_id"][:] = 1
        self.size = self.slots = 0
        self.tokens: list[list[int]] = []

    @property
    def cramped(self) -> bool:
        """Whether memory allows fewer slots than are wanted."""
        return self.slots < self._wanted

    def reserve(self, n_tokens: int) -> None:
        """Make room for so many tokens in each slot. If a larger context has to be made, all sequences are emptied.

        Where memory does not suffice for so many slots, there are fewer.

        Raises:
            EngineError: there is not enough memory for one.
        """
        if n_tokens <= self.size:
            return
        size = max(SMALLEST, self.size)
        while size < n_tokens:
            size *= 2
        self._free()
        slots = max(1, min(self._wanted, self._affordable(size) - 1))
        with complaints() as lines:
            while not self._created(size, slots):
                if slots == 1:
                    raise EngineError(
                        f"A context of {size} tokens does not fit into the memory here ({reason(lines)})."
                    )
                slots //= 2
        self.size, self.slots = size, slots
        self.tokens = [[] for _ in range(slots + 1)]

    def keep(self, sequence: int, n_tokens: int) -> None:
        """Cut a sequence back to its first `n_tokens`."""
        if n_tokens >= len(self.tokens[sequence]):
            return
        if self._lib.llama_memory_seq_rm(self._memory(), sequence, n_tokens or -1, -1):
            del self.tokens[sequence][n_tokens:]
            return
        # A recurrent state cannot be cut back, so it is computed again.
        again, self.tokens[sequence] = self.tokens[sequence][:n_tokens], []
        self._lib.llama_memory_seq_rm(self._memory(), sequence, -1, -1)
        if again:
            self.feed(sequence, again)

    def copy(self, source: int, target: int) -> None:
        """Make a sequence the same as another."""
        self.keep(target, 0)
        if self.tokens[source]:
            self._lib.llama_memory_seq_cp(self._memory(), source, target, -1, -1)
            self.tokens[target] = list(self.tokens[source])

    def feed(self, sequence: int, tokens: Sequence[int]) -> Logits:
        """Append tokens to a sequence; return the logits after the last one: float32, (vocabulary,).

        Raises:
            EngineError: llama.cpp failed.
        """
        for start in range(0, len(tokens), FEED):
            self._decode([(sequence, tokens[start : start + FEED])], start + FEED >= len(tokens))
        logits: Logits = self._logits(1)[0]
        return logits

    def logits(self, sequence: int, tokens: Sequence[int]) -> Logits:
        """Append tokens to a sequence; return the logits after each: float32, (tokens, vocabulary)."""
        found = []
        for start in range(0, len(tokens), FEED):
            piece = tokens[start : start + FEED]
            self._decode([(sequence, piece)], every=True)
            found.append(self._logits(len(piece)))
        return np.concatenate(found)

    def step(self, fed: Mapping[int, int]) -> Logits:
        """Append one token to each of some sequences; return the logits after each: float32, (sequences, vocabulary).

        Raises:
            EngineError: llama.cpp failed.
        """
        self._decode([(sequence, (token,)) for sequence, token in fed.items()])
        return self._logits(len(fed))

    def branches(self, sequence: int, rows: Sequence[Sequence[int]]) -> list[Logits]:
        """Logits after each token of rows that follow a sequence: float32, (tokens, vocabulary) each.

        `BRANCHES` rows are computed together, each in a slot of its own behind `sequence`, which they are copied from.
        The sequence itself stays as it is.
        """
        at, width = len(self.tokens[sequence]), max(1, min(BRANCHES, self.slots - sequence))
        found: list[Logits] = []
        for start in range(0, len(rows), width):
            group = rows[start : start + width]
            if width == 1 or sum(map(len, group)) > FEED:
                for row in group:
                    found.append(self.logits(sequence, row))
                    self.keep(sequence, at)
                continue
            for number in range(len(group)):
                self.copy(sequence, sequence + 1 + number)
            self._decode([(sequence + 1 + number, row) for number, row in enumerate(group)], every=True)
            bounds = np.cumsum([len(row) for row in group])[:-1]
            found += np.split(self._logits(sum(map(len, group))), bounds)
        return found

    def close(self) -> None:
        """Free keys and values."""
        self._free()
        self._lib.llama_batch_free(self._batch)

    def _decode(self, parts: Sequence[tuple[int, Sequence[int]]], last: bool = True, every: bool = False) -> None:
        """Append tokens to sequences, in one call of llama.cpp.

        Args:
            last: logits are wanted after the last token of each part. every: after every token.
        """
        batch, views, n = self._batch, self._views, 0
        for sequence, piece in parts:
            end, before = n + len(piece), len(self.tokens[sequence])
            views["token"][n:end] = piece
            views["pos"][n:end] = np.arange(before, before + len(piece))
            views["logits"][n:end] = every
            views["logits"][end - 1] |= last
            for at in range(n, end):
                batch.seq_id[at][0] = sequence
            n = end
        batch.n_tokens = n
        with complaints() as lines:
            status = self._lib.llama_decode(self._pointer, batch)
            if status:
                before = max(len(self.tokens[sequence]) for sequence, _ in parts)
                raise EngineError(f"llama.cpp failed with status {status} after {before} tokens ({reason(lines)}).")
        for sequence, piece in parts:
            self.tokens[sequence].extend(piece)

    def _logits(self, n: int) -> Logits:
        pointer = self._lib.llama_get_logits(self._pointer)
        found: Logits = np.ctypeslib.as_array(pointer, (n, self._model.n_vocab)).astype(np.float32)
        return found

    def _memory(self) -> Any:
        return self._lib.llama_get_memory(self._pointer)

    def _affordable(self, size: int) -> int:
        """Number of sequences of `size` tokens whose keys and values take half of the free memory at most."""
        free, each = free_memory(), size * self._model.kv_values * KV_BYTES[self._kv_type]
        return FEED if free is None else int(free * MEMORY_SHARE / each)

    def _created(self, size: int, slots: int) -> bool:
        self._pointer = self._lib.llama_init_from_model(self._model.pointer, self._params(size, slots + 1))
        return bool(self._pointer)

    def _params(self, size: int, sequences: int) -> Any:
        params = self._lib.llama_context_default_params()
        params.n_ctx = size * sequences
        params.n_batch = params.n_ubatch = FEED
        params.n_seq_max = sequences
        params.kv_unified = False
        params.n_threads = params.n_threads_batch = n_threads()
        params.type_k = params.type_v = self._kv_type
        if self._kv_type == F32:  # flash attention would round them to f16 on the way
            params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.swa_full = True  # a cache of the sliding window alone could not be cut back
        params.no_perf = True
        return params

    def _free(self) -> None:
        self.tokens = []
        self.size = self.slots = 0
        if self._pointer:
            self._lib.llama_free(self._pointer)
            self._pointer = None
