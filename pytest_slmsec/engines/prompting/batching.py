"""Cuts a window of requests into padded batches under a token budget."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from pytest_slmsec.core.items import Generate, Request
from pytest_slmsec.engines.prompting.encoded import Encoded

RESERVED_NEW_TOKENS = 128
"""At most so many new tokens a request count against the budget. Answers rarely reach limits of thousands of tokens,
and a batch that runs out of memory is halved."""


class Size(NamedTuple):
    """What one request takes in a padded batch: how many rows, and the tokens of its longest row."""

    kind: str
    rows: int
    tokens: int


def answer_tokens(prompt: int, limit: int) -> int:
    """Tokens of a prompt, and those reserved for an answer of at most `limit`."""
    return prompt + min(limit, RESERVED_NEW_TOKENS)


def size(request: Request, encoded: Encoded) -> Size:
    """Rows and tokens of a request. Choices of one token share the row of the prompt; longer ones have a row each."""
    if isinstance(request, Generate):
        return Size("generate", 1, answer_tokens(len(encoded.prompt), request.max_new_tokens))
    rows = sum(len(continuation_rows(tree.choices)) or 1 for tree in encoded.trees())
    return Size("choose", rows, encoded.longest)


def cut(sizes: Sequence[Size], budget_tokens: int, max_requests: int) -> list[list[int]]:
    """Batches of indices into `sizes`: one kind each, longest first, rows times padded length within the budget.

    The longest come first, so that a budget too large for the machine fails at once. A request larger than the budget
    is a batch of its own.
    """
    order = sorted(range(len(sizes)), key=lambda index: (sizes[index].kind, -sizes[index].tokens, index))
    batches: list[list[int]] = []
    rows = 0
    for index in order:
        batch = batches[-1] if batches else []
        fits = (
            bool(batch)
            and sizes[batch[0]].kind == sizes[index].kind
            and len(batch) < max_requests
            and (rows + sizes[index].rows) * sizes[batch[0]].tokens <= budget_tokens
        )
        if not fits:
            batches.append([])
            rows = 0
        batches[-1].append(index)
        rows += sizes[index].rows
    return batches


def continuation_rows(choices: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Token rows to feed after the prompt so that every token of every choice can be scored.

    A row is a choice without its last token; a row that is the beginning of another one is left out. Empty if every
    choice is one token.
    """
    fed = sorted({choice[:-1] for choice in choices} - {()})
    # In sorted order, a row that is the beginning of others comes directly before one of them.
    return [row for row, following in zip_longest(fed, fed[1:], fillvalue=()) if following[: len(row)] != row]
