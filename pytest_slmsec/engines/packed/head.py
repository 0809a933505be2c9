"""The output head (hidden states to logits), applied at chosen positions only and in fp32."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from pytest_slmsec.engines.packed.linears import LINES_OF_HEAD, packed_weight

ROWS = {"cpu": LINES_OF_HEAD, "cuda": 512}
"""Rows of each matrix product with the head, by device; always exactly as many, so that the logits of a position do not
depend on how many positions are wanted."""


class Head:
    """Logits in fp32, whatever dtype the model computes in.

    In bf16, log-probabilities near -10 are multiples of 1/16, so different choices would often be exactly equal. A head
    that is not a plain linear layer (a quantised one) computes in its own dtype, and its logits are cast.

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

    def logits(self, hidden: Tensor, padded: bool = True) -> Iterator[Tensor]:
        """Logits of hidden states ([positions, hidden size]), in blocks of [`ROWS`, vocabulary].

        Args:
            padded: fill the last block with rows of zeros, whose logits mean nothing. Without them the last bits of a
                logit depend on the number of positions, as those of the hidden states of steps do.
        """
        for block in torch.split(hidden, self._rows):
            missing = self._rows - len(block) if padded else 0
            full = torch.cat([block, block.new_zeros(missing, block.shape[1])]) if missing else block
            yield self._apply(full)

    def _apply(self, hidden: Tensor) -> Tensor:
        found = self._module(hidden).float() if self._product is None else self._product(hidden.float())
        return found if self._softcap is None else torch.tanh(found / self._softcap) * self._softcap


def _in_fp32(layer: torch.nn.Linear, rows: int) -> Callable[[Tensor], Tensor]:
    """The product of a layer in fp32. If that needs a copy of the weights, the copy is prepacked for oneDNN."""
    weight = layer.weight.detach().float()
    bias = None if layer.bias is None else layer.bias.detach().float()
    copied = weight.data_ptr() != layer.weight.data_ptr()
    packed = packed_weight(weight, bias, rows) if copied else None
    return packed or partial(linear, weight=weight, bias=bias)
