"""A loaded GGUF model, and a context: token ids in, logits out, with a cache of keys and values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import EngineError, ModelError
from pytest_slmsec.engines.llamacpp.library import complaints, import_llama, n_threads, reason

Logits = NDArray[np.float32]
FEED = 512
"""Most tokens in one call of llama.cpp. Fixed, so that the same text is always computed in the same pieces."""
SMALLEST = 1024
"""Tokens that a context holds at first. It doubles when more are needed, so that memory grows with the requests."""
ALL_LAYERS = -1
UNKNOWN = "unknown model architecture"
F32, F16, BF16 = 0, 1, 30
"""ggml's type numbers for keys and values (``ggml.h``)."""


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
    """One sequence of tokens with its keys and values. Tokens are appended at the end and cut off from the end.

    Args:
        kv_type: ggml's type number for keys and values (`F32`, `F16`, `BF16`).

    Attributes:
        size: tokens that fit. tokens: the tokens in the cache.
    """

    def __init__(self, model: LlamaModel, kv_type: int) -> None:
        self._lib = import_llama()
        self._model = model
        self._kv_type = kv_type
        self._pointer: Any = None
        self._batch = self._lib.llama_batch_init(FEED, 0, 1)
        self._views = {name: np.ctypeslib.as_array(getattr(self._batch, name), (FEED,))
                       for name in ("token", "pos", "n_seq_id", "logits")}  # fmt: skip
        self.size = 0
        self.tokens: list[int] = []

    def reserve(self, n_tokens: int) -> None:
        """Make room for so many tokens in all. If a larger context has to be made, the cache is emptied.

        Raises:
            EngineError: there is not enough memory.
        """
        if n_tokens <= self.size:
            return
        size = max(SMALLEST, self.size)
        while size < n_tokens:
            size *= 2
        self._free()
        with complaints() as lines:
            self._pointer = self._lib.llama_init_from_model(self._model.pointer, self._params(size))
            if not self._pointer:
                raise EngineError(f"A context of {size} tokens does not fit into the memory here ({reason(lines)}).")
        self.size = size

    def keep(self, n_tokens: int) -> None:
        """Cut back to the first `n_tokens`."""
        if n_tokens >= len(self.tokens):
            return
        memory = self._lib.llama_get_memory(self._pointer)
        if n_tokens and self._lib.llama_memory_seq_rm(memory, 0, n_tokens, -1):
            del self.tokens[n_tokens:]
            return
        # A recurrent state cannot be cut back, so it is computed again.
        again, self.tokens = self.tokens[:n_tokens], []
        self._lib.llama_memory_clear(memory, True)
        if again:
            self.feed(again)

    def feed(self, tokens: Sequence[int], every: bool = False) -> Logits:
        """Append tokens; return the logits after the last one, or after `every` one: float32, (positions, vocabulary).

        Raises:
            EngineError: llama.cpp failed.
        """
        found = []
        for start in range(0, len(tokens), FEED):
            piece = tokens[start : start + FEED]
            last = start + FEED >= len(tokens)
            self._decode(piece, every, last)
            if every or last:
                found.append(self._logits(len(piece) if every else 1))
        return np.concatenate(found)

    def close(self) -> None:
        """Free keys and values."""
        self._free()
        self._lib.llama_batch_free(self._batch)

    def _decode(self, piece: Sequence[int], every: bool, last: bool) -> None:
        n, batch, views = len(piece), self._batch, self._views
        batch.n_tokens = n
        views["token"][:n] = piece
        views["pos"][:n] = np.arange(len(self.tokens), len(self.tokens) + n)
        views["n_seq_id"][:n] = 1
        views["logits"][:n] = every
        views["logits"][n - 1] |= last
        for at in range(n):
            batch.seq_id[at][0] = 0
        with complaints() as lines:
            status = self._lib.llama_decode(self._pointer, batch)
            if status:
                raise EngineError(f"llama.cpp failed with status {status} after {len(self.tokens)} tokens "
                                  f"({reason(lines)}).")  # fmt: skip
        self.tokens.extend(piece)

    def _logits(self, n: int) -> Logits:
        pointer = self._lib.llama_get_logits(self._pointer)
        found: Logits = np.ctypeslib.as_array(pointer, (n, self._model.n_vocab)).astype(np.float32)
        return found

    def _params(self, size: int) -> Any:
        params = self._lib.llama_context_default_params()
        params.n_ctx = size
        params.n_batch = params.n_ubatch = FEED
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = n_threads()
        params.type_k = params.type_v = self._kv_type
        if self._kv_type == F32:  # flash attention would round them to f16 on the way
            params.flash_attn_type = self._lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.swa_full = True  # a cache of the sliding window alone could not be cut back
        params.no_perf = True
        return params

    def _free(self) -> None:
        self.tokens = []
        self.size = 0
        if self._pointer:
            self._lib.llama_free(self._pointer)
            self._pointer = None
