"""Scores the choices of many questions in packed tiles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.packed.layout import Segment, pack, segment, tile_tokens
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.tile import Tile
from pytest_slmsec.engines.prompting.encoded import Encoded


class PackedChooser:
    """Scores choices with a packed model."""

    def __init__(self, model: PackedModel) -> None:
        self.model = model

    @torch.inference_mode()
    def choose(self, asked: Sequence[Encoded]) -> list[ChoiceScores]:
        """Log-probabilities of the choices of each question, in their order.

        A result depends, to the last bit, only on the question, its shared prefix, the tile size and the machine. The
        output head is applied to the positions of all tiles together, because it always computes whole blocks of rows.
        """
        segments = [segment(one) for one in asked]
        order: list[int] = []
        states: list[Tensor] = []
        wanted = [one.wanted for one in segments]
        with self.model.packed():
            for tile in self._tiles(segments):
                members = [segments[index] for index in tile]
                hidden = self.model.feed(Tile(members, self.model.prefix(members[0].shared)))
                starts = accumulate((len(one.tokens) for one in members), initial=0)
                places = [start + at for start, index in zip(starts, tile, strict=False) for at in wanted[index]]
                states.append(hidden[places])
                order += tile
        self.model.counts.needed += sum(len(one.tokens) for one in segments)
        tokens = [some for index in order for some in wanted[index].values()]
        values = self._read(torch.cat(states), tokens) if states else iter(())
        found = {index: _chosen(segments[index], dict(zip(wanted[index], values, strict=False))) for index in order}
        return [found[index] for index in range(len(asked))]

    def plan(self, asked: Sequence[Encoded], budget_tokens: int) -> list[list[int]]:
        """Batches of whole tiles with about `budget_tokens` each, as indices into `asked`."""
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
        """Indices of the segments of each tile. All segments of a tile have the same shared prefix."""
        for prefix in dict.fromkeys(one.shared for one in segments):
            mine = [index for index, one in enumerate(segments) if one.shared == prefix]
            for members in pack([len(segments[index].tokens) for index in mine], self.model.tile):
                yield [mine[member] for member in members]

    def _read(self, hidden: Tensor, wanted: Sequence[Sequence[int]]) -> Iterator[dict[int, tuple[float, bool]]]:
        """For each position, by token wanted there: its log-probability, and whether it is the most probable token.

        Args:
            hidden: [positions, hidden size]. wanted: for each position the tokens to score there.
        """
        done = 0
        for logits in self.model.head.logits(hidden):
            block = wanted[done : done + len(logits)]
            done += len(block)
            rows = [row for row, some in enumerate(block) for _ in some]
            tokens = [token for some in block for token in some]
            logprobs = iter((logits[rows, tokens] - logits.logsumexp(dim=-1)[rows]).tolist())
            greedy = iter((logits.argmax(dim=-1)[rows] == torch.tensor(tokens, device=logits.device)).tolist())
            for some in block:
                yield {token: (next(logprobs), next(greedy)) for token in some}


def _chosen(one: Segment, known: Mapping[int, Mapping[int, tuple[float, bool]]]) -> ChoiceScores:
    """The scores of a question's choices.

    Args:
        known: by place in the segment and token, its log-probability and whether it is the most probable token.
    """
    per_choice = [[known[at][token] for at, token in choice] for choice in one.reads]
    return ChoiceScores(
        tuple(sum(logprob for logprob, _ in choice) for choice in per_choice),
        tuple(all(best for _, best in choice) for choice in per_choice),
    )
