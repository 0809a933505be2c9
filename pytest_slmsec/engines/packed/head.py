"""The output head at chosen positions only, in fp32."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

ROWS = {"cpu": 32, "cuda": 512}
"""Positions in one product, always exactly as many, so that no result depends on how many are wanted."""


class Head:
    """Logits in fp32, whatever the model computes in: a bf16 log-softmax falls on a grid of 1/16, with exact ties.

    A head that is no plain linear layer (a quantised one) is called as it is, and its logits are cast.

    Args:
        model: a causal language model.
    """

    def __init__(self, model: Any) -> None:
        self._module = model.get_output_embeddings()
        device = next(model.parameters()).device.type
        self._rows = ROWS.get(device, ROWS["cuda"])
        plain = type(self._module) is torch.nn.Linear and self._module.weight.is_floating_point()
        self._weight = self._module.weight.detach().float() if plain else None
        self._bias = self._module.bias.detach().float() if plain and self._module.bias is not None else None
        config = model.config.get_text_config()
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)

    def logits(self, hidden: Tensor) -> Iterator[Tensor]:
        """Logits of hidden states ([positions, size]), a block of positions at a time ([block, vocabulary])."""
        for block in torch.split(hidden, self._rows):
            missing = self._rows - len(block)
            full = torch.cat([block, block.new_zeros(missing, block.shape[1])]) if missing else block
            yield self._apply(full)[: len(block)]

    def _apply(self, hidden: Tensor) -> Tensor:
        if self._weight is None:
            found: Tensor = self._module(hidden).float()
        else:
            found = linear(hidden.float(), self._weight, self._bias)
        return found if self._softcap is None else torch.tanh(found / self._softcap) * self._softcap
