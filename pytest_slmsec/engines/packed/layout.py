"""Which tokens are fed in which tile, and at which of them log-probabilities are read. Pure Python, without torch.

A question becomes a *segment*: the prompt tokens after the shared prefix, then the tokens of its choices as a tree. A
token that several choices begin with is fed once. The last token of a choice is not fed, because no log-probability is
read after it. Segments are placed one after the other in *tiles* of a fixed number of tokens: all matrix products then
have the same shape, so a result does not depend, to the last bit, on what else is asked in the same run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens

LONE_STEP_TOKENS = 64
"""A segment longer than a tile gets a tile of its own, whose length is rounded up to a multiple of this."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One question as it is fed.

    Attributes:
        shared: tokens of the common prefix before it, which are fed once for all questions.
        tokens: fed in the tile: the prompt's own tokens, then the tree nodes, each after its parent.
        own: how many of `tokens` belong to the prompt.
        parents: for each tree node the index in `tokens` of the token before it in its text (`own` - 1: the prompt).
        reads: for each choice and each of its tokens that counts: (index in `tokens` whose logits score it, the token).
    """

    shared: Tokens
    tokens: Tokens
    own: int
    parents: tuple[int, ...]
    reads: tuple[tuple[tuple[int, int], ...], ...]

    def positions(self) -> list[int]:
        """Position of each token in its own text, counted from 0."""
        found = [len(self.shared) + index for index in range(self.own)]
        for parent in self.parents:
            found.append(found[parent] + 1)
        return found

    @property
    def wanted(self) -> dict[int, list[int]]:
        """By index in `tokens`, ascending: the different tokens that are scored with the logits there."""
        reads = sorted({read for choice in self.reads for read in choice})
        return {at: [token for place, token in reads if place == at] for at in dict.fromkeys(at for at, _ in reads)}

    @property
    def structure(self) -> tuple[int, int, tuple[int, ...]]:
        """Everything the attention mask depends on: (tokens of the prefix, `own`, `parents`)."""
        return len(self.shared), self.own, self.parents


def segment(encoded: Encoded) -> Segment:
    """The segment of one question. At least one prompt token is fed after the shared prefix."""
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
    """Length of the tile that holds a segment of this length; it depends on nothing else."""
    return tile if length <= tile else -(-length // LONE_STEP_TOKENS) * LONE_STEP_TOKENS


def pack(lengths: Sequence[int], tile: int) -> list[list[int]]:
    """Distribute segments over tiles: each tile starts with the longest segment left, and is then filled up.

    Filling is a subset sum (Bellman 1957), computed with the bits of one integer. It prefers long segments, so that
    short ones are left for the last tiles. If cutting the segments in the given order needs no more tiles, that is
    returned instead; so a batch that is itself a list of tiles is cut into the same tiles again.

    Args:
        lengths: tokens of each segment. tile: tokens of a tile.

    Returns:
        For each tile the indices into `lengths`. A segment longer than a tile is alone in its own.
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
    """Remove and return the first segment of a length."""
    index = left[length].pop()
    if not left[length]:
        del left[length]
    return index


def _fill(counts: Sequence[tuple[int, int]], room: int) -> list[int]:
    """The lengths that fill `room` best.

    Bit n of each integer in `sums` says whether some of the lengths considered so far add up to n.

    Args:
        counts: (length, how many segments have it), longest first.
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
    """The smallest number of tokens that must be fed to score these questions: each prefix once, and every segment."""
    return sum(map(len, {one.shared for one in segments})) + sum(len(one.tokens) for one in segments)
