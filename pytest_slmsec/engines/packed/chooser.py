"""Scores the choices of many questions in packed tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytest_slmsec.engines.packed.attention import NAME, NotPackable, Tile, register, working_on
from pytest_slmsec.engines.packed.head import Head
from pytest_slmsec.engines.packed.layout import LONE_STEP_TOKENS, Segment, Tokens, pack, segment, tile_tokens
from pytest_slmsec.engines.prompts import Encoded

TILE_TOKENS = {"cpu": 512, "cuda": 8192}
REMEMBERED_PREFIXES = 4
PAD = 0


class Chosen(NamedTuple):
    """Per choice of one question: natural-log probability, and whether greedy decoding would write it."""

    logprobs: tuple[float, ...]
    greedy: tuple[bool, ...]


@dataclass(slots=True)
class Fed:
    """Counts of tokens: fed, padding and prefixes included, and needed at the least."""

    fed: int = 0
    needed: int = 0


class PackedChooser:
    """Scores choices with a transformers causal language model whose attention can be replaced.

    Args:
        model: in eval mode, on its device. tile_tokens: tokens of a tile, or None for the device's default.

    Attributes:
        longest: tokens of the longest text that can be packed (the smallest sliding window), or None for no limit.
        counts: tokens fed and needed so far.

    Raises:
        NotPackable: the model has no decoder of the usual form, or does not let its attention be replaced.
    """

    def __init__(self, model: Any, tile_tokens: int | None = None) -> None:
        if not hasattr(model, "get_decoder") or model.get_decoder() is model or model.get_output_embeddings() is None:
            raise NotPackable("it has no decoder and output head of its own")
        register()
        self._model = model
        self._decoder = model.get_decoder()
        self.device = next(model.parameters()).device
        self.tile = tile_tokens or TILE_TOKENS.get(self.device.type, TILE_TOKENS["cuda"])
        self._head = Head(model)
        self._prefixes: dict[Tokens, dict[int, tuple[Tensor, Tensor]]] = {}
        self.longest: int | None = None
        self.counts = Fed()

    @torch.inference_mode()
    def choose(self, asked: Sequence[Encoded]) -> list[Chosen]:
        """Log-probabilities of the choices of each question, in their order.

        Every bit of a result depends on the question, its shared prefix, the tile size and the machine alone.
        """
        segments = [segment(one) for one in asked]
        found: dict[int, Chosen] = {}
        with self._packed_attention():
            for prefix in dict.fromkeys(one.shared for one in segments):
                mine = [index for index, one in enumerate(segments) if one.shared == prefix]
                known = self._prefix(prefix) if prefix else {}
                for members in pack([len(segments[index].tokens) for index in mine], self.tile):
                    at = [mine[member] for member in members]
                    results = self._run([segments[index] for index in at], known)
                    found.update(zip(at, results, strict=True))
        self.counts.needed += sum(len(one.tokens) for one in segments)
        return [found[index] for index in range(len(asked))]

    def plan(self, asked: Sequence[Encoded], budget_tokens: int) -> list[list[int]]:
        """Full tiles of one prefix, brought together to batches of about `budget_tokens`."""
        segments = [segment(one) for one in asked]
        batches: list[list[int]] = []
        for prefix in dict.fromkeys(one.shared for one in segments):
            mine = [index for index, one in enumerate(segments) if one.shared == prefix]
            room = 0
            for members in pack([len(segments[index].tokens) for index in mine], self.tile):
                size = tile_tokens(sum(len(segments[mine[member]].tokens) for member in members), self.tile)
                if size > room:
                    batches.append([])
                    room = budget_tokens
                batches[-1] += [mine[member] for member in members]
                room -= size
        return batches

    @contextmanager
    def _packed_attention(self) -> Iterator[None]:
        before = self._model.config._attn_implementation
        self._model.set_attn_implementation(NAME)
        try:
            yield
        finally:
            self._model.set_attn_implementation(before)

    def _prefix(self, prefix: Tokens) -> dict[int, tuple[Tensor, Tensor]]:
        """Keys and values of a prefix by layer; those of the last few prefixes are remembered."""
        if prefix not in self._prefixes:
            whole = Tile([Segment((), prefix, len(prefix), (), ())], captured={})
            self._decode(whole, LONE_STEP_TOKENS)
            assert whole.captured is not None
            while len(self._prefixes) >= REMEMBERED_PREFIXES:
                self._prefixes.pop(next(iter(self._prefixes)))
            self._prefixes[prefix] = whole.captured
            self.counts.needed += len(prefix)
        return self._prefixes[prefix]

    def _decode(self, tile: Tile, smallest: int) -> Tensor:
        """Hidden states of a tile of at least `smallest` tokens ([tile tokens, size])."""
        tokens = [token for one in tile.segments for token in one.tokens]
        positions = [position for one in tile.segments for position in one.positions()]
        padding = tile_tokens(len(tokens), smallest) - len(tokens)
        ids = torch.tensor([tokens + [PAD] * padding], device=self.device)
        places = torch.tensor([positions + [0] * padding], device=self.device)
        with working_on(tile):
            hidden: Tensor = self._decoder(input_ids=ids, position_ids=places, use_cache=False).last_hidden_state[0]
        self.counts.fed += ids.shape[1]
        if tile.sliding_window is not None:
            self.longest = min(tile.sliding_window, self.longest or tile.sliding_window)
        return hidden

    def _run(self, segments: Sequence[Segment], prefix: dict[int, tuple[Tensor, Tensor]]) -> list[Chosen]:
        hidden = self._decode(Tile(segments, prefix), self.tile)
        starts = [0]
        for one in segments:
            starts.append(starts[-1] + len(one.tokens))
        reads = [
            (start + at, token)
            for start, one in zip(starts, segments, strict=False)
            for choice in one.reads
            for at, token in choice
        ]
        values = iter(self._read(hidden, reads))
        return [_chosen(one, values) for one in segments]

    def _read(self, hidden: Tensor, reads: Sequence[tuple[int, int]]) -> list[tuple[float, bool]]:
        """Log-probability of each (position, token), and whether the token is the most probable one there."""
        places = sorted({place for place, _ in reads})
        wanted: dict[int, list[int]] = {place: [] for place in places}
        for place, token in reads:
            wanted[place].append(token)
        known: dict[tuple[int, int], tuple[float, bool]] = {}
        rest = iter(places)
        for logits in self._head.logits(hidden[places]):
            block = [next(rest) for _ in range(len(logits))]
            pairs = [(row, place, token) for row, place in enumerate(block) for token in wanted[place]]
            rows, tokens = [row for row, _, _ in pairs], [token for _, _, token in pairs]
            logprobs = (logits[rows, tokens] - logits.logsumexp(dim=-1)[rows]).tolist()
            greedy = (logits.argmax(dim=-1)[rows] == torch.tensor(tokens, device=logits.device)).tolist()
            for (_, place, token), logprob, best in zip(pairs, logprobs, greedy, strict=True):
                known[place, token] = logprob, best
        return [known[read] for read in reads]


def _chosen(one: Segment, values: Iterator[tuple[float, bool]]) -> Chosen:
    per_choice = [[next(values) for _ in choice] for choice in one.reads]
    return Chosen(
        tuple(sum(logprob for logprob, _ in choice) for choice in per_choice),
        tuple(all(best for _, best in choice) for choice in per_choice),
    )
