"""Requests as token ids: what every way of scoring and generating starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of one request.

    Attributes:
        prompt: fed first. For `Choose`, the longest common beginning of all its texts (of a conversation: of the
            tokenised prompt and of the tokenised prompt with each choice). Empty only where raw contexts have no first
            token in common: the branches are then texts of their own, and `trees` parts them.
        choices: what follows `prompt` for each choice, at least one token; () for `Generate`. With contexts of
            their own (winogrande) such a branch begins with the rest of its context.
        scored: how many of the last tokens of each branch count; () where all of them do.
        shared: leading tokens of `prompt` that all prompts of the benchmark begin with, as far as its text tells; what
            is selected does not matter.
        prompt_tokens: tokens of the rendered prompt alone, of the longest where there are several.
        error: why nothing can be asked, or None.
    """

    prompt: Tokens
    choices: tuple[Tokens, ...] = ()
    prompt_tokens: int = 0
    error: str | None = None
    scored: tuple[int, ...] = ()
    shared: int = 0

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence fed or scored."""
        return len(self.prompt) + max(map(len, self.choices), default=0)

    @property
    def counted(self) -> tuple[int, ...]:
        """How many of the last tokens of each branch count."""
        return self.scored or tuple(map(len, self.choices))

    def trees(self) -> list[Encoded]:
        """This question as questions that each have a prompt: itself, or one for each branch where they share none."""
        if self.prompt or self.error is not None:
            return [self]
        return [
            Encoded(branch[:-count], (branch[-count:],), len(branch) - count)
            for branch, count in zip(self.choices, self.counted, strict=True)
        ]


def common_beginning(texts: Sequence[Tokens]) -> int:
    """How many first tokens all `texts` have in common."""
    for position, column in enumerate(zip(*texts, strict=False)):
        if len(set(column)) > 1:
            return position
    return min(map(len, texts))
