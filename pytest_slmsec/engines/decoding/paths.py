"""How texts that are not packed are fed: in padded batches, or one at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores, choose, nothing
from pytest_slmsec.engines.decoding.greedy import GenerationTiming, Row, generate
from pytest_slmsec.engines.decoding.network import Network
from pytest_slmsec.engines.decoding.uncached import choose_uncached, generate_uncached
from pytest_slmsec.engines.prompting.encoded import Encoded, Tokens


class DecodingPath(Protocol):
    """One way to feed texts to a model."""

    @property
    def name(self) -> str:
        """For the record."""
        ...

    def choose(self, asked: Sequence[Encoded], prompts_done: Callable[[], None] = nothing) -> list[ChoiceScores]:
        """Score the choices of questions that have a prompt each (`Encoded.trees`).

        Args:
            prompts_done: called once, when all prompts have been fed.
        """
        ...

    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
        """Generate rows in place. `ends`: token ids that end a text."""
        ...


@dataclass(frozen=True, slots=True)
class PaddedPath:
    """Feeds left-padded batches with a cache."""

    network: Network

    @property
    def name(self) -> str:
        """See `DecodingPath`."""
        return "padded"

    def choose(self, asked: Sequence[Encoded], prompts_done: Callable[[], None] = nothing) -> list[ChoiceScores]:
        """See `choice_scoring.choose`."""
        return choose(self.network, asked, prompts_done)

    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
        """See `greedy.generate`."""
        return generate(self.network, rows, ends)


@dataclass(frozen=True, slots=True)
class AlonePath:
    """Feeds one text at a time. Choices are fed as whole texts, one for each continuation of the prompt.

    Attributes:
        cached: whether answers are generated with a cache; else each new token feeds the whole text again.
    """

    network: Network
    cached: bool = True

    @property
    def name(self) -> str:
        """See `DecodingPath`."""
        return "alone" if self.cached else "alone, without cache"

    def choose(self, asked: Sequence[Encoded], prompts_done: Callable[[], None] = nothing) -> list[ChoiceScores]:
        """See `uncached.choose_uncached`."""
        found = [choose_uncached(self._logits, one) for one in asked]
        prompts_done()
        return found

    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
        """One row after the other; see `greedy.generate` and `uncached.generate_uncached`."""
        timing = GenerationTiming()
        for row in rows:
            if self.cached:
                timing.add(generate(self.network, [row], ends))
            else:
                timing.add(generate_uncached(self._logits, row, ends, self.network.now))
        return timing

    def _logits(self, tokens: Tokens, start: int) -> Tensor:
        return self.network.logits(tokens)[start:]
