"""The test at load: which path gives the log-probabilities of the model's own plain forward passes."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.decoding.choice_scoring import choose
from pytest_slmsec.engines.decoding.network import DecodingState, Network, embedded_tokens, text_config
from pytest_slmsec.engines.decoding.paths import AlonePath, DecodingPath, PaddedPath
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens

TOLERANCE_NATS = {torch.float32: 2e-3, torch.float16: 0.1, torch.bfloat16: 0.5}
"""Largest difference allowed to plain log-probabilities of a token or choice, by dtype, in nats. A wrong mask, position
or state makes a larger one."""
BATCH_DEPENDENT_LAYERS = ("Linear8bitLt",)
"""Layers that quantise activations in a way that depends on the whole batch; they get the tolerance of bf16."""
PROMPT_TOKENS, NEW_TOKENS = (12, 5, 9), 3
SELECTIONS = ((0, 1, 2), (2, 0), (1, 0))
"""Rows that are kept before each new token is fed: all; the last and the first; both exchanged."""
SEED = 0


class Probe(NamedTuple):
    """A random text, and the plain log-probabilities of its last tokens.

    Attributes:
        prompt, new: token ids. logprobs: natural-log probability of each token of `new`, from one plain forward pass.
    """

    prompt: Tokens
    new: Tokens
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The fastest path that is right.

    Attributes:
        path: that path. refused: for each faster path by its name, why it is not taken.
    """

    path: DecodingPath
    refused: Mapping[str, str] = field(default_factory=dict)


@torch.inference_mode()
def find_path(network: Network, name: str) -> Found:
    """Try the paths from the fastest to the slowest. Returns the first with the model's plain log-probabilities.

    Args:
        network: feeds the model. name: of the model, for messages.

    Raises:
        ModelError: the model computes no logits of a plain text, or they depend on later tokens.
    """
    model = network.model
    try:
        texts = random_texts(model)
        logprobs = [network.logits((*prompt, *new)).float().log_softmax(-1) for prompt, new in texts]
        shorter = network.logits(texts[0][0]).float().log_softmax(-1)
    except Exception as error:  # an architecture may need other inputs than token ids, and fail in any way
        raise ModelError(
            f"{name}: {type(model).__name__} computes no logits of a plain text ({type(error).__name__}: "
            f"{first_line(error)}): it needs other inputs as well, or its configuration is wrong. Use a text model."
        ) from error
    probes = [_probe(prompt, new, plain) for (prompt, new), plain in zip(texts, logprobs, strict=True)]
    tolerance = tolerance_nats(model)
    if _distance(shorter, logprobs[0][: len(shorter)]) > tolerance:
        raise ModelError(
            f"{name}: {type(model).__name__} is no causal language model: its log-probabilities depend on the tokens "
            "that come later. Use a model that was trained to continue texts."
        )
    exact = tolerance <= TOLERANCE_NATS[torch.float32]
    refused: dict[str, str] = {}
    paths: tuple[PaddedPath | AlonePath, ...] = (
        PaddedPath(network),
        PaddedPath(Network(model, single_steps=True)),
        AlonePath(network),
        AlonePath(Network(model, own_cache=True)),
    )
    for path in paths:
        why = _refusal(path, probes, tolerance, exact)
        if why is None:
            return Found(path, {name: reason for name, reason in refused.items() if name != path.name})
        refused[path.name] = why
    return Found(AlonePath(network, cached=False), refused)


def tolerance_nats(model: Any) -> float:
    """Largest difference to the model's plain log-probabilities that counts as rounding; see `TOLERANCE_NATS`."""
    if any(type(module).__name__ in BATCH_DEPENDENT_LAYERS for module in model.modules()):
        return TOLERANCE_NATS[torch.bfloat16]
    return TOLERANCE_NATS.get(next(model.parameters()).dtype, TOLERANCE_NATS[torch.bfloat16])


def random_texts(model: Any) -> list[tuple[Tokens, Tokens]]:
    """Prompts of different lengths, each with a few new tokens. No token has a meaning of its own for the model."""
    special = _special_ids(model.config) | _special_ids(text_config(model))
    rows = min(embedded_tokens(model), text_config(model).vocab_size)
    ordinary = [token for token in range(rows) if token not in special]
    draw = random.Random(SEED)
    return [
        (tuple(draw.choices(ordinary, k=length)), tuple(draw.choices(ordinary, k=NEW_TOKENS)))
        for length in PROMPT_TOKENS
    ]


def _special_ids(config: Any) -> set[int]:
    """Ids that a configuration names: padding, ends of texts, places of images."""
    named = [value for key, value in vars(config).items() if key.endswith(("_token_id", "_token_index"))]
    found: set[int] = set()
    for value in named:
        found.update(value if isinstance(value, list | tuple) else [value])
    return found


def _probe(prompt: Tokens, new: Tokens, plain: Tensor) -> Probe:
    return Probe(prompt, new, tuple(plain[len(prompt) - 1 + step, token].item() for step, token in enumerate(new)))


def _distance(one: Tensor, other: Tensor) -> float:
    """Median difference of the most probable tokens' log-probabilities; 0 where they are not finite (such weights are
    damaged, which is said item by item)."""
    best = other.argmax(-1, keepdim=True)
    difference = (one.gather(-1, best) - other.gather(-1, best)).abs()
    return float(difference.nan_to_num(0.0, 0.0).median())


def _refusal(path: PaddedPath | AlonePath, probes: Sequence[Probe], tolerance: float, exact: bool) -> str | None:
    """Why a path is not right, or None.

    Args:
        exact: every log-probability must be within the tolerance; else the median of each row, since in 16 bits single
            tokens may be off by more (for one, where rounding sends a token to another expert).
    """
    try:
        if isinstance(path, PaddedPath):
            rows = [*_choice_deviations(path.network, probes), *_step_deviations(path.network, probes, SELECTIONS)]
        else:
            rows = [row for probe in probes for row in _step_deviations(path.network, [probe], [[0]] * NEW_TOKENS)]
    except Exception as error:  # a foreign kind of cache may fail in any way
        return f"{type(error).__name__}: {first_line(error)}"
    off = max(max(row) if exact else median(row) for row in rows)
    return None if off <= tolerance else f"log-probabilities differ from plain ones by {off:.3g} nats"


def _choice_deviations(network: Network, probes: Sequence[Probe]) -> list[list[float]]:
    """For each probe the deviations of choices of one, two and more tokens, scored in one batch."""
    choices = [tuple(probe.new[:length] for length in range(1, NEW_TOKENS + 1)) for probe in probes]
    asked = [Encoded(probe.prompt, some, len(probe.prompt)) for probe, some in zip(probes, choices, strict=True)]
    return [
        [_off(value, sum(probe.logprobs[:length])) for length, value in enumerate(found.logprobs, 1)]
        for probe, found in zip(probes, choose(network, asked), strict=True)
    ]


def _step_deviations(
    network: Network, probes: Sequence[Probe], selections: Sequence[Sequence[int]]
) -> list[list[float]]:
    """For each probe the deviations of its new tokens, which are fed step by step while rows are selected."""
    found: list[list[float]] = [[] for _ in probes]
    logits, state = network.prefill([probe.prompt for probe in probes])
    live = list(range(len(probes)))
    for step, selection in enumerate(selections):
        for row, index in zip(logits.float().log_softmax(-1), live, strict=True):
            probe = probes[index]
            found[index].append(_off(row[probe.new[step]].item(), probe.logprobs[step]))
        live = [live[at] for at in selection]
        logits = _feed(network, state, selection, [probes[index].new[step] for index in live])
    return found


def _feed(network: Network, state: DecodingState, selection: Sequence[int], tokens: Sequence[int]) -> Tensor:
    if list(selection) != list(range(len(state.positions))):
        state.select(selection)
    return network.extend(state, torch.tensor(tokens, device=network.device)[:, None], last_only=True)[:, -1]


def _off(value: float, plain: float) -> float:
    """Absolute difference; 0 where the plain value is not finite, infinite where only the other one is not."""
    if not math.isfinite(plain):
        return 0.0
    return abs(value - plain) if math.isfinite(value) else math.inf
