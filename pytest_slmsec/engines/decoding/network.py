"""One causal language model and its key-value cache: prefill a padded batch, feed it further tokens, drop rows."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.core.errors import ModelError

PAD = 0
"""Fed where a row has no token. It is masked out or ignored, so any id will do; every vocabulary has this one."""


@dataclass
class DecodingState:
    """A batch in the middle of its sequences, left-padded.

    Attributes:
        cache: keys and values of all tokens fed.
        mask: [rows, tokens fed], 0 at padding; None where no row is padded.
        positions: [rows], the position of the next token of each row.
    """

    cache: Any
    mask: Tensor | None
    positions: Tensor

    def select(self, rows: Sequence[int]) -> None:
        """Keep, drop or repeat rows."""
        index = torch.tensor(rows, dtype=torch.long, device=self.positions.device)
        self.cache.batch_select_indices(index)
        self.mask = None if self.mask is None else self.mask[index]
        self.positions = self.positions[index]


class Network:
    """Feeds token ids to a transformers causal language model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.device: torch.device = next(model.parameters()).device
        accepted = inspect.signature(model.forward).parameters
        self._options = {name for name in ("position_ids", "logits_to_keep") if name in accepted}

    def prefill(self, prompts: Sequence[Sequence[int]]) -> tuple[Tensor, DecodingState]:
        """Feed prompts. Returns the logits after the last token of each ([rows, vocabulary]), and the batch in state.

        Raises:
            ModelError: the architecture keeps no key-value cache.
        """
        width = max(map(len, prompts))
        ids = torch.tensor([[PAD] * (width - len(p)) + list(p) for p in prompts], device=self.device)
        lengths = torch.tensor([len(p) for p in prompts], device=self.device)
        padded = min(map(len, prompts)) < width
        columns = torch.arange(width, device=self.device)
        offsets = (width - lengths)[:, None]
        mask = (columns >= offsets).long() if padded else None
        logits, cache = self._forward(ids, mask, (columns - offsets).clamp(min=0), self._new_cache(), last_only=True)
        if not hasattr(cache, "batch_select_indices"):
            raise ModelError(
                f"{type(self.model).__name__} keeps no key-value cache, so this engine cannot run it: "
                "use an attention-based causal language model."
            )
        return logits[:, -1], DecodingState(cache, mask, lengths)

    def extend(self, state: DecodingState, tokens: Tensor, last_only: bool) -> Tensor:
        """Feed `tokens` ([rows, n]; padding only at the right end) after what is in state.

        Returns:
            Logits after each token fed, or after the last ([rows, n or 1, vocabulary]).
        """
        n = tokens.shape[1]
        if state.mask is not None:
            state.mask = torch.cat([state.mask, state.mask.new_ones(len(tokens), n)], dim=1)
        positions = state.positions[:, None] + torch.arange(n, device=self.device)
        state.positions = state.positions + n
        logits, state.cache = self._forward(tokens, state.mask, positions, state.cache, last_only)
        return logits

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self.model.config)

    def _forward(
        self, ids: Tensor, mask: Tensor | None, positions: Tensor, cache: Any, last_only: bool
    ) -> tuple[Tensor, Any]:
        options: dict[str, Any] = {"position_ids": positions, "logits_to_keep": 1 if last_only else 0}
        options = {name: value for name, value in options.items() if name in self._options}
        out = self.model(input_ids=ids, attention_mask=mask, past_key_values=cache, use_cache=True, **options)
        return out.logits, getattr(out, "past_key_values", None)
