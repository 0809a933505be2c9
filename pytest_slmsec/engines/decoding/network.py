"""One causal language model and its cache: prefill a padded batch, feed it further tokens, keep or repeat rows."""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.engines.decoding.rotary import DYNAMIC, length_dependent

PAD = 0
"""Fed where a row has no token. It is masked out or ignored, so any id will do; every vocabulary has this one."""
ADAPTED = ("original_module", "base_layer")
"""Where peft keeps the embedding that it put an adapter around."""
CACHE_ARGUMENTS = ("past_key_values", "cache_params", "state")
"""Names under which the models of transformers take and return their cache."""


@dataclass
class DecodingState:
    """A batch between two forward passes, left-padded.

    Attributes:
        cache: keys and values, or recurrent states, of all tokens fed.
        mask: [rows, tokens fed], 0 at padding; None if no row is padded.
        positions: [rows], the position of the next token of each row.
    """

    cache: Any
    mask: Tensor | None
    positions: Tensor

    def select(self, rows: Sequence[int]) -> None:
        """Keep, drop, reorder or repeat rows; each gets its own copy of keys, values and states."""
        index = torch.tensor(rows, dtype=torch.long, device=self.positions.device)
        self.cache.reorder_cache(index)  # unlike `batch_select_indices`, every kind of layer has it
        self.mask = None if self.mask is None else self.mask[index]
        self.positions = self.positions[index]

    def rest(self, rows: Sequence[int]) -> None:
        """Put ended rows back to position 0. Further on, they would leave the position embeddings behind, or change the
        rotary angles of the whole batch (`decoding.rotary`)."""
        if rows:
            self.positions[list(rows)] = 0


class Network:
    """Feeds token ids to a causal language model of transformers.

    Args:
        model: in eval mode, on its device.
        single_steps: feed further tokens one by one. Some recurrent layers are right after a prefill only that way.
        own_cache: let the model make its cache, instead of giving it a `DynamicCache`.
    """

    def __init__(self, model: Any, single_steps: bool = False, own_cache: bool = False) -> None:
        self.model, self.single_steps, self._own_cache = model, single_steps, own_cache
        self.device: torch.device = next(model.parameters()).device
        accepted = inspect.signature(model.forward).parameters
        self._options = {name for name in ("attention_mask", "position_ids", "logits_to_keep") if name in accepted}
        self._cache_argument = next((name for name in CACHE_ARGUMENTS if name in accepted), None)
        self._rotary_limit = length_dependent(text_config(model)).get(DYNAMIC)

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, DecodingState]:
        """Feed prompts. Returns the logits after the last token of each ([rows, vocabulary]), and the batch's state.

        Raises:
            TypeError: the architecture takes or returns no cache.
        """
        width = max(map(len, prompts))
        ids = torch.tensor([[PAD] * (width - len(p)) + list(p) for p in prompts], device=self.device)
        lengths = torch.tensor([len(p) for p in prompts], device=self.device)
        padded = min(map(len, prompts)) < width
        columns = torch.arange(width, device=self.device)
        offsets = (width - lengths)[:, None]
        mask = (columns >= offsets).long() if padded else None
        logits, cache = self._forward(ids, mask, (columns - offsets).clamp(min=0), self._new_cache(), last_only=True)
        if cache is None:
            raise TypeError(f"{type(self.model).__name__} returns no cache")
        return logits[:, -1], DecodingState(cache, mask, lengths)

    def extend(self, state: DecodingState, tokens: Tensor, last_only: bool) -> Tensor:
        """Feed `tokens` ([rows, n]; padding only at the right end) after the tokens of `state`.

        Returns:
            Logits after each token fed, or after the last ([rows, n or 1, vocabulary]).
        """
        if self.single_steps and tokens.shape[1] > 1:
            steps = [self.extend(state, tokens[:, [at]], last_only) for at in range(tokens.shape[1])]
            return steps[-1] if last_only else torch.cat(steps, dim=1)
        n = tokens.shape[1]
        if state.mask is not None:
            state.mask = torch.cat([state.mask, state.mask.new_ones(len(tokens), n)], dim=1)
        positions = state.positions[:, None] + torch.arange(n, device=self.device)
        state.positions = state.positions + n
        logits, state.cache = self._forward(tokens, state.mask, positions, state.cache, last_only)
        return logits

    @torch.inference_mode()
    def logits(self, tokens: Sequence[int]) -> Tensor:
        """Logits after each token of one text, from a forward pass without cache or padding: [tokens, vocabulary].

        Dynamic rotary embeddings keep the angles of the longest text so far until a short one is fed (transformers
        5.23, ``modeling_rope_utils.py``, `dynamic_rope_update`); so a short text is fed after a long one.
        """
        found: Tensor = self._plain(tokens)
        if self._rotary_limit is not None and len(tokens) > self._rotary_limit:
            self._plain(tokens[:1])
        return found

    def now(self) -> float:
        """Seconds on a monotonic clock, read when all work given to the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def _plain(self, tokens: Sequence[int]) -> Tensor:
        found: Tensor = self.model(input_ids=torch.tensor([list(tokens)], device=self.device), use_cache=False).logits[
            0
        ]
        return found

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        return None if self._own_cache else DynamicCache(config=self.model.config)

    def _forward(
        self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: Any, last_only: bool
    ) -> tuple[Tensor, Any]:
        if self._cache_argument is None:
            raise TypeError(f"{type(self.model).__name__} takes no cache")
        options: dict[str, Any] = {
            "attention_mask": mask,
            "position_ids": positions,
            "logits_to_keep": 1 if last_only else 0,
        }
        options = {name: value for name, value in options.items() if name in self._options}
        options[self._cache_argument] = cache
        out = self.model(input_ids=ids, use_cache=True, **options)
        return out.logits, getattr(out, self._cache_argument, None)


def embedded_tokens(model: Any) -> int:
    """Number of token ids that a model embeds, which an adapter may have been added to."""
    embedding = model.get_input_embeddings()
    for inner in ADAPTED:
        embedding = getattr(embedding, inner, embedding)
    return int(embedding.num_embeddings)


def text_config(model: Any) -> Any:
    """The configuration of a model's text part; of a text model the configuration itself."""
    config = model.config
    return config.get_text_config() if hasattr(config, "get_text_config") else config
