"""Scoring and generating one text at a time with plain forward passes, without a cache.

Slow, because every new token feeds the whole text again, but right for any model that computes logits of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import torch
from torch import Tensor

from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores, combine_token_scores, score_tokens
from pytest_slmsec.engines.decoding.drafts import DraftedRow
from pytest_slmsec.engines.decoding.greedy import GenerationTiming, Row, append_next_tokens, next_tokens
from pytest_slmsec.engines.prompting.batching import continuation_rows
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens

Logits = Callable[[Tokens, int], Tensor]
"""From a text and an index to the logits after its tokens from that index on: [tokens, vocabulary]."""


def choose_uncached(logits: Logits, asked: Encoded) -> ChoiceScores:
    """Score the choices of one question: the prompt is fed whole with each continuation."""
    last = len(asked.prompt) - 1
    rows: dict[Tokens, Tensor] = {}
    first: Tensor | None = None
    for fed in continuation_rows(asked.choices) or [()]:
        found = logits((*asked.prompt, *fed), last)
        first = found[0] if first is None else first
        if fed:
            rows[fed] = found[1:]
    assert first is not None
    return combine_token_scores(asked, score_tokens(first, [choice[0] for choice in asked.choices]), rows)


@torch.inference_mode()
def generate_uncached(
    logits: Logits, row: Row, ends: Collection[int], now: Callable[[], float], drafted: int = 0
) -> GenerationTiming:
    """Generate one row, in place. Computing its first token counts as prefill.

    Args:
        ends: token ids that end a text. now: a monotonic clock, in seconds. drafted: most tokens that are guessed and
            fed with the newest one (`drafts`).
    """
    began = now()
    append_next_tokens([row], logits(tuple(row.text), len(row.text) - 1), ends)
    first = now()
    answer = DraftedRow(row, drafted)
    samplers = {} if row.sampler is None else {0: row.sampler}
    while row.running:
        last = len(row.text) - 1
        text = (*row.text[:last], *answer.next(drafted))
        answer.follow(next_tokens(logits(text, last), samplers), ends)
    return GenerationTiming(first - began, now() - first, first - began)
