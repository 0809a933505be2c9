"""Log-probabilities of the choices of a batch of questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from pytest_slmsec.engines.decoding.network import PAD, Network
from pytest_slmsec.engines.prompting.batching import continuation_rows
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens


class ChoiceScores(NamedTuple):
    """What is known of the choices of one question.

    Attributes:
        logprobs: natural-log probability of each choice, in nats.
        greedy: whether greedy decoding would generate that choice.
    """

    logprobs: tuple[float, ...]
    greedy: tuple[bool, ...]


class TokenScore(NamedTuple):
    """Natural-log probability of one token, and whether it is the most probable one (`best`)."""

    logprob: float
    best: bool


def nothing() -> None:
    """The default of callbacks."""


def choose(
    network: Network, asked: Sequence[Encoded], prompts_done: Callable[[], None] = nothing
) -> list[ChoiceScores]:
    """Score the choices of each question: the log-probabilities of the tokens that count, summed; log-softmax in fp32.

    Each prompt is fed once; the logits after its last token score the first token of all its choices. Choices of more
    than one token then continue as rows of their own, each with a copy of the prompt's cache.

    Args:
        asked: questions with a prompt each (`Encoded.trees`).
        prompts_done: called once, when all prompts have been fed.
    """
    logits, state = network.prefill([encoded.prompt for encoded in asked])
    firsts = [
        score_tokens(row, [choice[0] for choice in encoded.choices]) for row, encoded in zip(logits, asked, strict=True)
    ]
    prompts_done()
    rows = [(index, fed) for index, encoded in enumerate(asked) for fed in continuation_rows(encoded.choices)]
    fed_logits: list[dict[Tokens, torch.Tensor]] = [{} for _ in asked]
    if rows:
        state.select([index for index, _ in rows])
        width = max(len(fed) for _, fed in rows)
        padded = torch.tensor([list(fed) + [PAD] * (width - len(fed)) for _, fed in rows], device=network.device)
        further = network.extend(state, padded, last_only=False)
        for (index, fed), logits_of_row in zip(rows, further, strict=True):
            fed_logits[index][fed] = logits_of_row
    return [
        combine_token_scores(encoded, first, of_rows)
        for encoded, first, of_rows in zip(asked, firsts, fed_logits, strict=True)
    ]


def combine_token_scores(
    encoded: Encoded, firsts: Sequence[TokenScore], rows: Mapping[Tokens, torch.Tensor]
) -> ChoiceScores:
    """Sum the scores of the tokens of each choice.

    Args:
        firsts: score of the first token of each choice.
        rows: by tokens fed after the prompt (`continuation_rows`), the logits after each of them, [tokens, vocabulary].
    """
    reads = [
        ([first] if count == len(choice) else []) + _later(choice, count, rows)
        for choice, count, first in zip(encoded.choices, encoded.counted, firsts, strict=True)
    ]
    return ChoiceScores(
        tuple(sum(read.logprob for read in choice) for choice in reads),
        tuple(all(read.best for read in choice) for choice in reads),
    )


def _later(choice: Tokens, count: int, rows: Mapping[Tokens, torch.Tensor]) -> list[TokenScore]:
    """Scores of the last `count` tokens of a choice, without its first token, from the row that fed the choice."""
    places = range(max(1, len(choice) - count), len(choice))
    if not places:
        return []
    logits = next(logits for fed, logits in rows.items() if fed[: len(choice) - 1] == choice[:-1])
    return [score_tokens(logits[at - 1], [choice[at]])[0] for at in places]


def score_tokens(logits: torch.Tensor, tokens: Sequence[int]) -> list[TokenScore]:
    """Scores of some tokens, given the logits of their position ([vocabulary]); log-softmax in fp32."""
    scores = logits.float()
    values: list[float] = (scores[list(tokens)] - scores.logsumexp(dim=-1)).tolist()
    best = int(scores.argmax())
    return [TokenScore(value, token == best) for value, token in zip(values, tokens, strict=True)]
