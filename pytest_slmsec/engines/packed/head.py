"""The output head at chosen positions only, in fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from pytest_slmsec.engines.packed.linears import LINES_OF_HEAD, packed_weight

ROWS = {"cpu": LINES_OF_HEAD, "cuda": 512}
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
        self._product = _in_fp32(self._module, self._rows) if plain else None
        config = model.config.get_text_config()
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)

    def logits(self, hidden: Tensor) -> Iterator[Tensor]:
        """Logits of hidden states ([positions, size]), a block of positions at a time ([ROWS, vocabulary]).

        The last block is filled up with rows that mean nothing: what is computed of a row must have the same shape
        however many there are.
        """
        for block in torch.split(hidden, self._rows):
            missing = self._rows - len(block)
            full = torch.cat([block, block.new_zeros(missing, block.shape[1])]) if missing else block
            yield self._apply(full)

    def _apply(self, hidden: Tensor) -> Tensor:
        found = self._module(hidden).float() if self._product is None else self._product(hidden.float())
        return found if self._softcap is None else torch.tanh(found / self._softcap) * self._softcap


def _in_fp32(layer: torch.nn.Linear, rows: int) -> Callable[[Tensor], Tensor]:
    """The product of a layer in fp32; where that takes a copy of its weights, the copy is laid out in advance."""
    weight = layer.weight.detach().float()
    bias = None if layer.bias is None else layer.bias.detach().float()
    copied = weight.data_ptr() != layer.weight.data_ptr()
    packed = packed_weight(weight, bias, rows) if copied else None
    return packed or (lambda hidden: linear(hidden, weight, bias))
