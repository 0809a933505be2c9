"""Scoring and generating with packed batches, for models that pass the test of `check`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Any

from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores
from pytest_slmsec.engines.decoding.drafts import DRAFTED
from pytest_slmsec.engines.decoding.greedy import GenerationTiming, Row
from pytest_slmsec.engines.packed.attention import NotPackable
from pytest_slmsec.engines.packed.check import checked_model
from pytest_slmsec.engines.packed.chooser import PackedChooser
from pytest_slmsec.engines.packed.generator import SLOTS, ContinuousBatchGenerator
from pytest_slmsec.engines.packed.linears import pack_linears, unpack_linears
from pytest_slmsec.engines.packed.model import PackedModel
from pytest_slmsec.engines.packed.steps import CudaGraphs
from pytest_slmsec.engines.prompting.batching import answer_tokens
from pytest_slmsec.engines.prompting.encoded import Encoded

ROUNDS = 2
"""Answers of a batch for each slot. The more, the longer all slots are in use, and the later a batch is stored."""
PLACES = {"cpu": 3, "cuda": 1}
"""The cache may have so many places for each token that the running answers take together. All its slots are as long as
the longest answer; on a CPU, places that are not written to take no memory (`slots.zeros`)."""


class PackedPath:
    """Scores and generates with one packed model.

    Args:
        budget_tokens: most tokens of all tiles of one batch. running_tokens: of all running answers together.

    Attributes:
        deviation_nats: largest difference between packed and plain log-probabilities, measured at load.
        linears: how the linear layers compute; see `linears.pack_linears`.
        drafted: most tokens of an answer that are guessed in one step.
    """

    def __init__(
        self, model: PackedModel, deviation_nats: float, budget_tokens: int, running_tokens: int, linears: str = "plain"
    ) -> None:
        self.model, self.deviation_nats, self.linears = model, deviation_nats, linears
        self.drafted = DRAFTED.get(model.device.type, 0)
        self._chooser = PackedChooser(model)
        self._recorder = CudaGraphs(model.device) if model.device.type == "cuda" else None
        self._budget_tokens, self._running_tokens = budget_tokens, running_tokens

    def accepts(self, encoded: Encoded, new_tokens: int = 0) -> bool:
        """Whether a question, or a prompt that is followed by at most `new_tokens`, can be packed: it must not become
        longer than `PackedModel.longest`, and all its choices must continue one prompt."""
        longest = self.model.longest
        one_tree = bool(encoded.prompt) and encoded.error is None
        return one_tree and (longest is None or encoded.longest + new_tokens <= longest)

    def plan(self, asked: Sequence[Encoded]) -> list[list[int]]:
        """Batches of questions, as indices into `asked`."""
        return self._chooser.plan(asked, self._budget_tokens)

    def plan_answers(self, tokens: Sequence[int], most_rows: int) -> list[list[int]]:
        """Batches of answers, as indices into `tokens`: longest first, each up to `ROUNDS` times as many as there are
        slots, since a slot takes the next prompt when its answer ends.

        Args:
            tokens: of each prompt behind the shared prefix, and those reserved for its answer. most_rows: of a batch.
        """
        order = sorted(range(len(tokens)), key=lambda index: (-tokens[index], index))
        batches = []
        while order:
            most = min(most_rows, ROUNDS * self._slots([tokens[index] for index in order]))
            batches.append(order[:most])
            order = order[most:]
        return batches

    def choose(self, asked: Sequence[Encoded]) -> list[ChoiceScores]:
        """See `PackedChooser.choose`."""
        return self._chooser.choose(asked)

    def generate(self, rows: Sequence[Row], ends: Collection[int]) -> GenerationTiming:
        """See `ContinuousBatchGenerator.generate`."""
        tokens = sorted((answer_tokens(len(row.prompt) - row.shared, row.limit) for row in rows), reverse=True)
        slots = self._slots(tokens)
        return ContinuousBatchGenerator(self.model, slots, self._recorder, self.drafted).generate(rows, ends)

    def _slots(self, tokens: Sequence[int]) -> int:
        """How many answers run at a time, that have so many tokens of their own, longest first."""
        device = self.model.device.type
        places = self._running_tokens * PLACES.get(device, PLACES["cuda"])
        most = min(SLOTS.get(device, SLOTS["cuda"]), places // tokens[0])
        return max(1, sum(taken <= self._running_tokens for taken in accumulate(tokens[:most])))


def packed_path(model: Any, budget_tokens: int, running_tokens: int) -> PackedPath | str:
    """The packed path of a model, or the reason why it has none. Linear layers on a CPU are prepacked in place."""
    linears = pack_linears(model) if model.get_output_embeddings() is not None else "plain"
    try:
        packed, deviation = checked_model(model)
        unpack_linears(model, only_read=True)
    except NotPackable as why:
        unpack_linears(model)
        return str(why)
    return PackedPath(packed, deviation, budget_tokens, running_tokens, linears)
