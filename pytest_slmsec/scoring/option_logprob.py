"""Multiple choice by the log-probability of each option (as in lm-evaluation-harness, `multiple_choice` tasks), or by
whatever an encoder ranks the options by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from pytest_slmsec.core.items import REBUILT, Item, Output, Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import P_CORRECT, UNSCORED


def score_option(item: Item, output: Output, mode: Mode) -> Score:
    """Right or wrong by the most probable option, with the probability of the right one.

    Parts: ``p_correct``, softmax over the options at the gold label, a share of 1; ``margin``, best minus second-best
    log-probability in nats; ``tie``, 1 when several options share the top exactly.

    An encoder's scores (`Output.choice_scores`) rank the options and are no probabilities: there is no ``p_correct``,
    and ``margin`` is in the engine's own unit. An option without text has no score and is never chosen.

    A tie at the top is a measurement without an answer: wrong in strict mode; official mode takes the first of them,
    as argmax does. Missing or non-finite values are unparsed: wrong, ``p_correct`` 0.
    """
    logprobs = output.choice_logprobs
    values = output.choice_scores or () if logprobs is None else logprobs
    scored = [value for value in values if value is not None]
    if len(values) != len(item.labels) or not scored or not all(map(math.isfinite, scored)):
        unknown = {"p_correct": 0.0} if output.choice_scores is None else {}
        return Score(0.0, False, False, None, {**unknown, "margin": 0.0, "tie": 0.0})
    top, *rest = sorted(scored, reverse=True)
    tie = bool(rest) and rest[0] == top
    label = None if tie and mode is Mode.STRICT else item.labels[values.index(top)]
    probability = {} if logprobs is None else {"p_correct": _share(logprobs, item.labels.index(item.gold))}
    parts = {**probability, "margin": top - rest[0] if rest else 0.0, "tie": float(tie)}
    return Score(float(label == item.gold), True, label == item.gold, label, parts)


def score_option_per_character(item: Item, output: Output, mode: Mode) -> Score:
    """As `score_option`, with each log-probability divided by the characters of its option, so that a long text is not
    worse for its length (OLMES, Gu et al. 2024, arXiv 2406.08446; ``acc_norm`` of lm-evaluation-harness). ``p_correct``
    and ``margin`` are those of the divided log-probabilities. An item whose right option is none of its choices (it has
    no text) is `metrics.UNSCORED`.

    Raises:
        KeyError: the item was rebuilt from a stored run, without the texts of its options.
    """
    if REBUILT in item.meta:
        raise KeyError("choices")
    logprobs = output.choice_logprobs
    if logprobs is not None and len(logprobs) == len(item.choices):
        divided = (value / max(len(text.strip()), 1) for value, text in zip(logprobs, item.choices, strict=True))
        output = replace(output, choice_logprobs=tuple(divided))
    if item.gold not in item.labels:
        found = score_option(replace(item, gold=item.labels[0]), output, mode)
        return Score(0.0, found.parsed, False, found.extracted, {**found.parts, P_CORRECT: 0.0, UNSCORED: 1.0})
    return score_option(item, output, mode)


def _share(logprobs: Sequence[float], place: int) -> float:
    """Softmax of the log-probabilities at one place."""
    top = max(logprobs)
    weights = [math.exp(logprob - top) for logprob in logprobs]
    return weights[place] / sum(weights)
