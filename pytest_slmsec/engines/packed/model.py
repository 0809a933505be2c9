"""A causal language model of transformers whose attention is replaced while tiles and steps are fed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pytest_slmsec.engines.decoding.network import PAD
from pytest_slmsec.engines.decoding.rotary import length_dependent
from pytest_slmsec.engines.packed import attention
from pytest_slmsec.engines.packed.attention import KeysAndValues, NotPackable, using_attention
from pytest_slmsec.engines.packed.head import Head
from pytest_slmsec.engines.packed.layout import LONE_STEP_TOKENS, Segment, tile_tokens
from pytest_slmsec.engines.packed.tile import Tile
from pytest_slmsec.engines.prompting.encoded import Tokens

TILE_TOKENS = {"cpu": 512, "cuda": 8192}
REMEMBERED_PREFIXES = 4


@dataclass(slots=True)
class Counts:
    """Numbers of tokens.

    Attributes:
        fed: to the model so far, padding and prefixes included. needed: the least that would have had to be fed.
    """

    fed: int = 0
    needed: int = 0


class PackedModel:
    """Feeds tiles and steps to a model, and caches the keys and values of shared prefixes.

    Args:
        model: in eval mode, on its device. tile_tokens: tokens of a tile, or None for the device's default.
        head: the head of the same model if it was made before; None makes one.

    Attributes:
        tile: tokens of a tile. counts: of everything fed so far.
        longest: tokens of the longest text that can be packed, or None for no limit. It is the smallest sliding window
            of a layer or, for rotary embeddings whose angles change with the longest text of a batch, the length above
            which they do (`decoding.rotary`).

    Raises:
        NotPackable: the model has no decoder with a separate output head.
    """

    def __init__(self, model: Any, tile_tokens: int | None = None, head: Head | None = None) -> None:
        decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
        if decoder is None or decoder is model or model.get_output_embeddings() is None:
            raise NotPackable("it has no decoder and output head of its own")
        attention.register()
        self._model, self._decoder = model, decoder
        self.device: torch.device = next(model.parameters()).device
        self.tile = tile_tokens or TILE_TOKENS.get(self.device.type, TILE_TOKENS["cuda"])
        self.head = head or Head(model)
        self.longest: int | None = min(length_dependent(model.config.get_text_config()).values(), default=None)
        self.counts = Counts()
        self._prefixes: dict[Tokens, KeysAndValues] = {}

    @contextmanager
    def packed(self) -> Iterator[None]:
        """Let the model use the attention function of this package inside the block."""
        before = self._model.config._attn_implementation
        self._model.set_attn_implementation(attention.NAME)
        try:
            yield
        finally:
            self._model.set_attn_implementation(before)

    def feed(self, tile: Tile, smallest: int | None = None) -> Tensor:
        """Hidden states after each token of a tile: [length of the tile, hidden size].

        Args:
            smallest: least length that the tile is padded to; None for `tile`.
        """
        tokens = [token for one in tile.segments for token in one.tokens]
        positions = [position for one in tile.segments for position in one.positions()]
        padding = tile_tokens(len(tokens), smallest or self.tile) - len(tokens)
        ids = torch.tensor([tokens + [PAD] * padding], device=self.device)
        places = torch.tensor([positions + [0] * padding], device=self.device)
        with using_attention(tile):
            hidden = self.decode(ids, places)[0]
        self.counts.fed += ids.numel()
        if tile.sliding_window is not None:
            self.longest = min(tile.sliding_window, self.longest or tile.sliding_window)
        return hidden

    def decode(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Hidden states after each token id ([rows, n] to [rows, n, hidden size]), under the current handler."""
        hidden: Tensor = self._decoder(input_ids=ids, position_ids=positions, use_cache=False).last_hidden_state
        return hidden

    def prefix(self, tokens: Tokens) -> KeysAndValues:
        """Keys and values of a shared prefix; those of the last `REMEMBERED_PREFIXES` are kept."""
        if not tokens:
            return {}
        if tokens not in self._prefixes:
            captured: KeysAndValues = {}
            self.feed(Tile([Segment((), tokens, len(tokens), (), ())], captured=captured), LONE_STEP_TOKENS)
            while len(self._prefixes) >= REMEMBERED_PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
            self._prefixes[tokens] = {
                layer: (keys[:, :, : len(tokens)].contiguous(), values[:, :, : len(tokens)].contiguous())
                for layer, (keys, values) in captured.items()
            }
            self.counts.needed += len(tokens)
        return self._prefixes[tokens]
