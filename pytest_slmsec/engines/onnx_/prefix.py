"""Logits of texts that begin alike: of what was fed before, keys and values are kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from pytest_slmsec.engines.onnx_.graph import Graph


class KnownPrefix:
    """The text that a graph was fed last, and its keys and values. A new text is fed from where it differs.

    With a graph that takes no keys and values every text is fed whole.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.forget()

    def forget(self) -> None:
        """Start anew: the next text is fed whole."""
        self._text: tuple[int, ...] = ()
        self._past = self._graph.nothing()

    def logits(self, tokens: Sequence[int], start: int) -> torch.Tensor:
        """Logits of the next token after each token of a text from index `start` on: [positions, vocabulary]."""
        text = tuple(tokens)
        known = min(shared_length(self._text, text), start) if self._past else 0
        past = {name: array[..., :known, :] for name, array in self._past.items()}
        found, self._past = self._graph.extend(
            past, input_ids=[text[known:]], places=range(start - known, len(text) - known)
        )
        self._text = text
        return found[0]


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """Number of tokens with which both texts begin."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(place for place in range(most) if one[place] != other[place])
