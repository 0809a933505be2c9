"""Which tokens are fed in which tile, and where each log-probability is read; no torch.

A question is a *segment*: its own prompt tokens behind the shared prefix, then the tokens of its choices as a tree. A
token that several choices begin with is fed once, and the last token of a choice is not fed at all: nothing is read
behind it. Segments stand one after the other in *tiles* of a fixed number of tokens, so that the shape of every matrix
product, and with it every bit of a result, is the same whatever else is asked in the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens

LONE_STEP_TOKENS = 64
"""A segment longer than a tile has a tile of its own, rounded up to this many tokens."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One question laid out.

    Attributes:
        shared: tokens of the prefix it stands behind, which are fed elsewhere, once.
        tokens: fed here: own prompt tokens, then tree nodes, each behind its parent.
        own: how many of `tokens` are prompt.
        parents: for each tree node the index in `tokens` of what it continues (`own` - 1: the prompt).
        reads: for each choice, (index in `tokens` to read at, token to read there) of each token that counts.
    """

    shared: Tokens
    tokens: Tokens
    own: int
    parents: tuple[int, ...]
    reads: tuple[tuple[tuple[int, int], ...], ...]

    def positions(self) -> list[int]:
        """Position of each token in its own text."""
        found = [len(self.shared) + index for index in range(self.own)]
        for parent in self.parents:
            found.append(found[parent] + 1)
        return found

    @property
    def wanted(self) -> dict[int, list[int]]:
        """Where in `tokens` something is read, in order, and the different tokens that are read there."""
        reads = sorted({read for choice in self.reads for read in choice})
        return {at: [token for place, token in reads if place == at] for at in dict.fromkeys(at for at, _ in reads)}

    @property
    def structure(self) -> tuple[int, int, tuple[int, ...]]:
        """All that the attention mask depends on."""
        return len(self.shared), self.own, self.parents


def segment(encoded: Encoded) -> Segment:
    """Lay out one question. At least one prompt token is fed behind the shared prefix."""
    shared = min(encoded.shared, len(encoded.prompt) - 1)
    tokens = list(encoded.prompt[shared:])
    own = len(tokens)
    nodes: dict[Tokens, int] = {(): own - 1}
    parents: list[int] = []
    for choice in encoded.choices:
        for length in range(1, len(choice)):
            beginning = choice[:length]
            if beginning not in nodes:
                parents.append(nodes[beginning[:-1]])
                nodes[beginning] = len(tokens)
                tokens.append(beginning[-1])
    reads = tuple(
        tuple((nodes[choice[:at]], choice[at]) for at in range(len(choice) - count, len(choice)))
        for choice, count in zip(encoded.choices, encoded.counted, strict=True)
    )
    return Segment(encoded.prompt[:shared], tuple(tokens), own, tuple(parents), reads)


def tile_tokens(length: int, tile: int) -> int:
    """Tokens of the tile that a segment of this length stands in; depends on nothing but the segment."""
    return tile if length <= tile else -(-length // LONE_STEP_TOKENS) * LONE_STEP_TOKENS


def pack(lengths: Sequence[int], tile: int) -> list[list[int]]:
    """Segments to tiles: each tile begins with the longest segment left, and is filled up as far as it goes.

    The filling is a subset sum (Bellman 1957) over bits of one whole number, which prefers long segments, so that short
    ones are left for the last tiles. Where cutting the segments in the order given needs no more tiles, that is kept:
    a batch that was packed before keeps its tiles.

    Args:
        lengths: tokens of each segment. tile: tokens of a tile.

    Returns:
        Indices into `lengths`, a list a tile. What is longer than a tile stands alone.
    """
    filled, in_order = _filled(lengths, tile), _in_order(lengths, tile)
    return in_order if len(in_order) <= len(filled) else filled


def _in_order(lengths: Sequence[int], tile: int) -> list[list[int]]:
    tiles: list[list[int]] = []
    room = 0
    for index, length in enumerate(lengths):
        if length > room:
            tiles.append([])
            room = tile
        tiles[-1].append(index)
        room -= length
    return tiles


def _filled(lengths: Sequence[int], tile: int) -> list[list[int]]:
    left: dict[int, list[int]] = {}
    for index in reversed(range(len(lengths))):
        left.setdefault(lengths[index], []).append(index)
    tiles: list[list[int]] = []
    while left:
        longest = max(left)
        tiles.append([_take(left, longest)])
        counts = sorted(((length, len(same)) for length, same in left.items()), reverse=True)
        tiles[-1] += [_take(left, length) for length in _fill(counts, tile - longest)]
    return tiles


def _take(left: dict[int, list[int]], length: int) -> int:
    """The first segment of a length, which is then no longer left."""
    index = left[length].pop()
    if not left[length]:
        del left[length]
    return index


def _fill(counts: Sequence[tuple[int, int]], room: int) -> list[int]:
    """Which lengths, with how many of each at hand, fill `room` best.

    Bit n of a number says that some of the lengths so far add up to n; longest first.
    """
    mask = (1 << (max(room, 0) + 1)) - 1
    sums = [1]
    steps: list[int] = []
    for length, count in counts:
        for _ in range(min(count, max(room, 0) // length)):
            sums.append(sums[-1] | (sums[-1] << length & mask))
            steps.append(length)
    total, chosen = sums[-1].bit_length() - 1, []
    for before, length in zip(reversed(sums[:-1]), reversed(steps), strict=True):
        if not before >> total & 1:
            chosen.append(length)
            total -= length
    return chosen


def needed_tokens(segments: Sequence[Segment]) -> int:
    """Tokens that must be fed at least once to score these questions: each prefix once, and every segment."""
    return sum(map(len, {one.shared for one in segments})) + sum(len(one.tokens) for one in segments)
