"""Scores the choices of many questions in packed tiles."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from pytest_slmsec.engines.choosing import Chosen
from pytest_slmsec.engines.encoded import Encoded
from pytest_slmsec.engines.packed.attention import NAME, KeysAndValues, Tile
from pytest_slmsec.engines.packed.layout import Segment, pack, segment, tile_tokens
from pytest_slmsec.engines.packed.model import PackedModel


class PackedChooser:
    """Scores choices with a packed model."""

    def __init__(self, model: PackedModel) -> None:
        self.model = model

    @torch.inference_mode()
    def choose(self, asked: Sequence[Encoded]) -> list[Chosen]:
        """Log-probabilities of the choices of each question, in their order.

        Every bit of a result depends on the question, its shared prefix, the tile size and the machine alone.
        """
        segments = [segment(one) for one in asked]
        found: dict[int, Chosen] = {}
        with self.model.attention(NAME):
            for tile in self._tiles(segments):
                members = [segments[index] for index in tile]
                results = self._run(members, self.model.prefix(members[0].shared))
                found.update(zip(tile, results, strict=True))
        self.model.counts.needed += sum(len(one.tokens) for one in segments)
        return [found[index] for index in range(len(asked))]

    def plan(self, asked: Sequence[Encoded], budget_tokens: int) -> list[list[int]]:
        """Tiles brought together to batches of about `budget_tokens`, as indices into `asked`."""
        segments = [segment(one) for one in asked]
        batches: list[list[int]] = []
        room = 0
        for tile in self._tiles(segments):
            size = tile_tokens(sum(len(segments[index].tokens) for index in tile), self.model.tile)
            if size > room:
                batches.append([])
                room = budget_tokens
            batches[-1] += tile
            room -= size
        return batches

    def _tiles(self, segments: Sequence[Segment]) -> Iterator[list[int]]:
        """Indices of the segments of each tile; a tile has one prefix."""
        for prefix in dict.fromkeys(one.shared for one in segments):
            mine = [index for index, one in enumerate(segments) if one.shared == prefix]
            for members in pack([len(segments[index].tokens) for index in mine], self.model.tile):
                yield [mine[member] for member in members]

    def _run(self, segments: Sequence[Segment], prefix: KeysAndValues) -> list[Chosen]:
        hidden = self.model.feed(Tile(segments, prefix))
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
        for logits in self.model.head.logits(hidden[places]):
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
