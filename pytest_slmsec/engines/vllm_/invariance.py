"""Whether what vLLM computes depends on which other requests are computed beside: measured when a model is loaded.

vLLM's own switch for it (VLLM_BATCH_INVARIANT) covers some GPUs only, so it is measured and not believed.
"""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.engines.decoding.choice_scoring import TokenScore
from pytest_slmsec.engines.prompting.encoded import Tokens

SEED, LENGTHS, CHOICES, ENDING = 0, (7, 64, 19, 130, 33, 8, 91, 48), 4, 3
FLOOR_NATS = 1e-6
"""Rounding of a log-probability in fp32; a smaller deviation cannot be told from none."""


class Scoring(Protocol):
    """What is measured; see `engines.vllm_.library.Vllm`."""

    def token_scores(self, asked: Any) -> list[list[TokenScore]]:
        """Scores of some tokens right behind each prompt."""
        ...

    def end_scores(self, asked: Any) -> list[TokenScore]:
        """The last tokens of each text, scored as one."""
        ...


@dataclass(frozen=True, slots=True)
class Invariance:
    """Texts scored alone and in company.

    Attributes:
        texts: how many. largest_difference_nats: of a log-probability; 0.0: not one bit differs.
    """

    texts: int
    largest_difference_nats: float

    @property
    def deviation_nats(self) -> float:
        """The error with which choices count as fragile."""
        return max(self.largest_difference_nats, FLOOR_NATS)

    def plain(self) -> dict[str, Any]:
        """Plain data, for the record."""
        return {**asdict(self), "equal_alone_and_in_company": self.largest_difference_nats == 0.0}


def measured(scoring: Scoring, vocabulary: int) -> Invariance:
    """Score random texts one at a time and all at once.

    Args:
        vocabulary: number of token ids.

    Raises:
        ModelError: a log-probability is not finite: the weights are damaged, or overflow.
    """
    draw = random.Random(SEED)
    texts: list[Tokens] = [tuple(draw.randrange(vocabulary) for _ in range(length)) for length in LENGTHS]
    asked = [(text, [draw.randrange(vocabulary) for _ in range(CHOICES)]) for text in texts]
    ends = [(text, ENDING) for text in texts]
    company = [*_values(scoring.token_scores(asked)), *_values([scoring.end_scores(ends)])]
    alone = [*_values([scoring.token_scores([one])[0] for one in asked]),
             *_values([[scoring.end_scores([one])[0] for one in ends]])]  # fmt: skip
    if not all(map(math.isfinite, (*company, *alone))):
        raise ModelError("vLLM gives log-probabilities that are not finite: the weights are damaged, or overflow.")
    return Invariance(len(texts), max(abs(one - other) for one, other in zip(alone, company, strict=True)))


def _values(found: list[list[TokenScore]]) -> list[float]:
    return [score.logprob for scores in found for score in scores]
