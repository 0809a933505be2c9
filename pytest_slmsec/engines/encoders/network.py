"""Feeds rows of token ids to an encoder, in padded batches of similar length under a token budget."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.engines.prompting.batching import Size, cut

Row = Sequence[int]


class Encoder:
    """An encoder in eval mode on its device.

    Args:
        pad: token id for padding; padding is masked. budget_tokens: most rows times padded length of a forward pass.
    """

    def __init__(self, model: Any, pad: int, budget_tokens: int) -> None:
        self.model, self._pad, self._budget_tokens = model, pad, budget_tokens
        self.device: torch.device = next(model.parameters()).device
        self._typed = "token_type_ids" in inspect.signature(model.forward).parameters

    @torch.inference_mode()
    def feed(self, rows: Sequence[Row], read: Callable[[Any, Tensor, Sequence[int]], Sequence[Any]]) -> list[Any]:
        """Feed all rows. Returns one value for each, in their order.

        Args:
            read: called for each batch with the model's output, the attention mask ([rows, tokens]) and the numbers of
                its rows; returns the values of these rows.
        """
        found: dict[int, Any] = {}
        for chunk in self._chunks(rows):
            output, mask = self._forward([rows[index] for index in chunk])
            found.update(zip(chunk, read(output, mask, chunk), strict=True))
        return [found[index] for index in range(len(rows))]

    @torch.inference_mode()
    def logits_at(self, rows: Sequence[Row], positions: Sequence[int], read: Callable[[Tensor, int], Any]) -> list[Any]:
        """Feed all rows. Returns one value for each, in their order.

        The head of a masked language model costs as much as several layers, and its logits need much memory. So a hook
        passes only the wanted position of each row on to it.

        Args:
            positions: for each row the position that is wanted.
            read: called with the logits there ([vocabulary]) and the number of the row; returns its value.
        """
        places: list[int] = []

        def keep_places(module: Any, args: Any, output: Any) -> Any:
            hidden = output[0]
            output["last_hidden_state"] = hidden[range(len(places)), places][:, None]
            return output

        found: dict[int, Any] = {}
        handle = self.model.base_model.register_forward_hook(keep_places)
        try:
            for chunk in self._chunks(rows):
                places[:] = [positions[index] for index in chunk]
                output, _ = self._forward([rows[index] for index in chunk])
                found.update(
                    (index, read(logits[0], index)) for index, logits in zip(chunk, output.logits, strict=True)
                )
        finally:
            handle.remove()
        return [found[index] for index in range(len(rows))]

    def _chunks(self, rows: Sequence[Row]) -> list[list[int]]:
        return cut([Size("row", 1, len(row)) for row in rows], self._budget_tokens, len(rows))

    def _forward(self, rows: Sequence[Row]) -> tuple[Any, Tensor]:
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[self._pad] * (width - len(row))] for row in rows], device=self.device)
        lengths = torch.tensor([len(row) for row in rows], device=self.device)
        mask = (torch.arange(width, device=self.device) < lengths[:, None]).long()
        types = {"token_type_ids": torch.zeros_like(ids)} if self._typed else {}
        return self.model(input_ids=ids, attention_mask=mask, **types), mask
