"""Compare a quantised model with its base: next-token distributions and generated text on held-out lines."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.engines.decoding.answering import Answering
from pytest_slmsec.engines.encoders.engine import EncoderEngine
from pytest_slmsec.engines.prompting.prompts import Prompts
from pytest_slmsec.quantize.calibration import conversation, plain_text
from pytest_slmsec.quantize.manifest import NEXT_TOKENS, Verification

Observable = Answering | EncoderEngine

MAX_TOKENS = 2048
"""Positions compared: [positions, vocabulary] in fp32 is 1 GB at a vocabulary of 128,000."""
MAX_ANSWERS = 12
NEW_TOKENS = 48
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
KNOWS_NOTHING = 0.98
"""A KL divergence of at least this share of a uniform guess's means that the model has learned nothing. The share is
below 1 because of rounding."""
GARBLED_RATE = 0.02
REPETITION_RATIO = 6.0
"""Compression ratio above which a text is one phrase repeated; English of this length compresses by about 2."""
MIN_ANSWERS_FOR_SAMENESS = 4


@dataclass(frozen=True, slots=True)
class Behaviour:
    """A model's predictions on the held-out text.

    Attributes:
        logprobs: [positions, vocabulary] (encoders: what the scorer compares), natural log, fp32, on the CPU.
        answers: generated texts; () for encoders.
        compared: what is predicted, for messages.
    """

    logprobs: torch.Tensor
    answers: tuple[str, ...]
    compared: str = NEXT_TOKENS


def observe(engine: Observable, held_out: Sequence[str]) -> Behaviour:
    """Run a model on held-out lines: next-token distributions at every position, and answers to their prompts. Of an
    encoder, the distributions that its scorer compares.

    Args:
        held_out: lines of the calibration text that were not used for calibration.
    """
    if isinstance(engine, EncoderEngine):
        lines = [plain_text(line) for line in held_out]
        logprobs = engine.scorer.distributions(lines, engine.info.context_tokens, MAX_TOKENS)
        return Behaviour(logprobs, (), engine.scorer.compared)
    return Behaviour(next_token_logprobs(engine, held_out), answers(engine, _prompts(held_out)))


def answers(engine: Answering, requests: Sequence[Generate]) -> tuple[str, ...]:
    """Generated texts in the order of the requests, asked in the engine's own batches."""
    texts: dict[int, str] = {}
    for batch in engine.plan(requests):
        outputs = engine.run([requests[place] for place in batch]).outputs
        texts.update((place, output.text or "") for place, output in zip(batch, outputs, strict=True))
    return tuple(texts[place] for place in range(len(requests)))


def next_token_logprobs(engine: Answering, lines: Sequence[str]) -> torch.Tensor:
    """Distributions of the next token after each of the first `MAX_TOKENS` tokens of some lines: [positions,
    vocabulary], natural log, fp32, on the CPU."""
    kept: list[torch.Tensor] = []
    left = MAX_TOKENS
    for row in token_rows(engine.prompts, lines):
        if left > 0:
            kept.append(engine.logits(row[:left]).float().log_softmax(dim=-1).cpu())
            left -= len(row)
    return torch.cat(kept)


def token_rows(prompts: Prompts, lines: Sequence[str]) -> list[tuple[int, ...]]:
    """Token ids of calibration lines; conversations are rendered with the model's chat template."""
    texts = []
    for line in lines:
        turns = conversation(line)
        texts.append(prompts.render(turns, answered=True) if turns else line)
    return prompts.tokenise(texts)


def _prompts(held_out: Sequence[str]) -> list[Generate]:
    """Generation requests: a conversation without its answer, or the first half of a plain line."""
    found = []
    for number, line in enumerate(held_out[:MAX_ANSWERS], start=1):
        turns = conversation(line)
        asked = tuple(turn for turn in turns if turn.role != "assistant") if turns else (_half(line),)
        found.append(Generate(f"held-out line {number}", asked, NEW_TOKENS))
    return found


def _half(line: str) -> Message:
    words = line.split()
    return Message("user", " ".join(words[: max(len(words) // 2, 1)]))


def compare(base: Behaviour, quantised: Behaviour) -> Verification:
    """Figures of a quantised model against its base.

    Raises:
        QuantizeError: its logits are not finite, or it predicts no better than a constant guess. A model that is only
            worse than its base is not refused: the benchmarks measure how much worse.
    """
    if not torch.isfinite(quantised.logprobs).all():
        raise QuantizeError("The quantised model gives logits that are not finite (NaN or infinity); it is not kept.")
    probabilities = base.logprobs.exp()
    entropy = -(probabilities * base.logprobs).sum(dim=-1).mean().item()
    tops = base.logprobs.argmax(dim=-1)
    figures = Verification(
        tokens=len(tops),
        mean_kl_nats=(probabilities * (base.logprobs - quantised.logprobs)).sum(dim=-1).mean().item(),
        uniform_kl_nats=math.log(base.logprobs.shape[-1]) - entropy,
        same_top_rate=(tops == quantised.logprobs.argmax(dim=-1)).float().mean().item(),
        constant_top_rate=torch.bincount(tops).max().item() / len(tops),
        answers=len(quantised.answers),
        warnings=garbled(base.answers, quantised.answers),
        compared=base.compared,
    )
    refuse_broken(figures)
    return figures


def refuse_broken(figures: Verification) -> None:
    """Refuse a model whose predictions share nothing with its base's.

    Raises:
        QuantizeError: states the figures.
    """
    lost = figures.mean_kl_nats >= KNOWS_NOTHING * figures.uniform_kl_nats
    if lost and figures.same_top_rate <= figures.constant_top_rate:
        raise QuantizeError(
            f"The quantised model is broken and not kept: over {figures.tokens} {figures.compared} its mean KL "
            f"divergence from its base is {figures.mean_kl_nats:.2f} nats (a uniform guess: "
            f"{figures.uniform_kl_nats:.2f}), and it has the same top token in {figures.same_top_rate:.1%} (always the "
            f"most frequent token: {figures.constant_top_rate:.1%}). Weights that were not loaded look like this: try "
            "more bits or smaller groups."
        )


def garbled(base: Sequence[str], quantised: Sequence[str]) -> tuple[str, ...]:
    """Signs of damaged text in the quantised model's answers that the base's answers do not show."""
    return tuple(what for what, shows in SIGNS.items() if shows(quantised) and not shows(base))


def _same(texts: Sequence[str]) -> bool:
    return len(texts) >= MIN_ANSWERS_FOR_SAMENESS and len(set(texts)) == 1


def _empty(texts: Sequence[str]) -> bool:
    return bool(texts) and not any(text.strip() for text in texts)


def _replaced(texts: Sequence[str]) -> bool:
    counts = Counter("".join(texts))
    return counts[REPLACEMENT] > GARBLED_RATE * counts.total()


def _repeated(texts: Sequence[str]) -> bool:
    raw = [text.encode("utf-8", "replace") for text in texts]
    return any(len(data) > REPETITION_RATIO * len(zlib.compress(data, 9)) for data in raw)


SIGNS: Mapping[str, Callable[[Sequence[str]], bool]] = {
    "replacement characters (broken UTF-8)": _replaced,
    "endless repetition": _repeated,
    "the same answer to every prompt": _same,
    "no answer at all": _empty,
}
