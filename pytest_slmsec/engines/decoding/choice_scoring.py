"""Log-probabilities of the choices of a batch of questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch

from pytest_slmsec.engines.decoding.network import PAD, Network
from pytest_slmsec.engines.prompting.batching import continuation_rows
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens


class Chosen(NamedTuple):
    """Per choice of one question: natural-log probability, and whether greedy decoding would write it."""

    logprobs: tuple[float, ...]
    greedy: tuple[bool, ...]


class Read(NamedTuple):
    """One token under the logits before it."""

    logprob: float
    best: bool


def choose(network: Network, asked: Sequence[Encoded], prompts_done: Callable[[], None]) -> list[Chosen]:
    """Natural-log probability of each choice, summed over the tokens that count; log-softmax in fp32.

    Each prompt is fed once, and the first token of all its choices is read off its last position. Choices of more than
    one token then go on as rows of their own that share the prompt's keys and values.

    Args:
        asked: each with a prompt (`Encoded.trees`).
        prompts_done: called when all prompts are fed.
    """
    logits, flight = network.prefill([encoded.prompt for encoded in asked])
    firsts = [read(row, [choice[0] for choice in encoded.choices]) for row, encoded in zip(logits, asked, strict=True)]
    prompts_done()
    rows = [(index, fed) for index, encoded in enumerate(asked) for fed in continuation_rows(encoded.choices)]
    fed_logits: list[dict[Tokens, torch.Tensor]] = [{} for _ in asked]
    if rows:
        flight.select([index for index, _ in rows])
        width = max(len(fed) for _, fed in rows)
        padded = torch.tensor([list(fed) + [PAD] * (width - len(fed)) for _, fed in rows], device=network.device)
        further = network.extend(flight, padded, last_only=False)
        for (index, fed), logits_of_row in zip(rows, further, strict=True):
            fed_logits[index][fed] = logits_of_row
    return [
        put_together(encoded, first, of_rows) for encoded, first, of_rows in zip(asked, firsts, fed_logits, strict=True)
    ]


def put_together(encoded: Encoded, firsts: Sequence[Read], rows: Mapping[Tokens, torch.Tensor]) -> Chosen:
    """The choices of a question from what was read of them.

    Args:
        firsts: the first token of each choice. rows: logits ([tokens, vocabulary]) behind each of `continuation_rows`.
    """
    reads = [
        ([first] if count == len(choice) else []) + _later(choice, count, rows)
        for choice, count, first in zip(encoded.choices, encoded.counted, firsts, strict=True)
    ]
    return Chosen(
        tuple(sum(read.logprob for read in choice) for choice in reads),
        tuple(all(read.best for read in choice) for choice in reads),
    )


def _later(choice: Tokens, count: int, rows: Mapping[Tokens, torch.Tensor]) -> list[Read]:
    """Those of the last `count` tokens of a choice that are not its first, from the row that fed it."""
    places = range(max(1, len(choice) - count), len(choice))
    if not places:
        return []
    logits = next(logits for fed, logits in rows.items() if fed[: len(choice) - 1] == choice[:-1])
    return [read(logits[at - 1], [choice[at]])[0] for at in places]


def read(logits: torch.Tensor, tokens: Sequence[int]) -> list[Read]:
    """Some tokens under one position's logits ([vocabulary]); log-softmax in fp32."""
    scores = logits.float()
    values: list[float] = (scores[list(tokens)] - scores.logsumexp(dim=-1)).tolist()
    best = int(scores.argmax())
    return [Read(value, token == best) for value, token in zip(values, tokens, strict=True)]
