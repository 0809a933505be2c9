"""Requests as token ids, the input of every way of scoring and generating."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one request.

    Attributes:
        prompt: the tokens fed first. For `Choose`: the longest common beginning of all texts of the request (the
            prompt alone and the prompt with each choice). Empty only if the contexts of a raw request differ in their
            first token; `trees` then makes one question of each branch.
        choices: for each choice, the tokens after `prompt`, at least one; () for `Generate`. If each choice has its
            own context (winogrande), these branches begin with the rest of that context.
        scored: for each branch, how many of its last tokens are scored; () if all of them are.
        shared: how many leading tokens of `prompt` all prompts of the benchmark have in common. It follows from the
            text of the request, not from what else is selected.
        prompt_tokens: tokens of the rendered prompt without choices; of the longest context if there are several.
        error: why the request cannot be asked, or None.
        opened: the prompt ends inside a thought.
    """

    prompt: Tokens
    choices: tuple[Tokens, ...] = ()
    prompt_tokens: int = 0
    error: str | None = None
    scored: tuple[int, ...] = ()
    shared: int = 0
    opened: bool = False

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence fed or scored."""
        return len(self.prompt) + max(map(len, self.choices), default=0)

    @property
    def counted(self) -> tuple[int, ...]:
        """For each branch, how many of its last tokens are scored."""
        return self.scored or tuple(map(len, self.choices))

    def trees(self) -> list[Encoded]:
        """The request as requests with a prompt that is not empty: itself, or one for each branch."""
        if self.prompt or self.error is not None:
            return [self]
        return [
            Encoded(branch[:-count], (branch[-count:],), len(branch) - count)
            for branch, count in zip(self.choices, self.counted, strict=True)
        ]


def common_beginning(texts: Sequence[Tokens]) -> int:
    """How many leading tokens all `texts` have in common."""
    for position, column in enumerate(zip(*texts, strict=False)):
        if len(set(column)) > 1:
            return position
    return min(map(len, texts))
