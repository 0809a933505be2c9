"""Fragile items, whose answer may change with rounding errors alone, and their scores in fp32."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from pytest_slmsec.engines.common.base import FRAGILE_DEVIATIONS
from pytest_slmsec.engines.decoding.choice_scoring import ChoiceScores, choose
from pytest_slmsec.engines.decoding.network import Network
from pytest_slmsec.engines.packed.linears import PackedLinear
from pytest_slmsec.engines.prompting.encoded import Encoded


def margin_nats(chosen: ChoiceScores) -> float:
    """Best minus second-best log-probability; infinite with one choice."""
    best, *rest = sorted(chosen.logprobs, reverse=True)
    return best - rest[0] if rest else float("inf")


class FragileItems:
    """Scores fragile questions again, one at a time, with a copy of the model in fp32.

    A question is fragile if its two best choices are closer than `FRAGILE_DEVIATIONS` times the deviation.

    Args:
        model: the model in the dtype of the run.
        deviation_nats: largest known error of a choice's log-probability; see `check.checked_model`.
    """

    def __init__(self, model: Any, deviation_nats: float) -> None:
        self._model = model
        self._limit_nats = FRAGILE_DEVIATIONS * deviation_nats
        self._fp32: Network | None = None

    @staticmethod
    def refusal(model: Any) -> str | None:
        """Why a model cannot be scored in fp32, or None."""
        parameters = list(model.parameters())
        if all(parameter.dtype == torch.float32 for parameter in parameters):
            return "it already runs in fp32"
        plain = all(
            type(module) in (torch.nn.Linear, PackedLinear) or "linear" not in type(module).__name__.lower()
            for module in model.modules()
            if not hasattr(module, "base_layer")  # the layer of an adapter; the layer inside it is tested instead
        )
        return None if plain else "its layers are quantised, and have no fp32 form"

    def rescore(self, asked: Sequence[Encoded], found: Sequence[ChoiceScores]) -> tuple[list[ChoiceScores], int]:
        """`found` with the scores of fragile questions replaced by those in fp32, and the number of these."""
        fragile = [index for index, one in enumerate(found) if margin_nats(one) < self._limit_nats]
        results = list(found)
        for index in fragile:
            results[index] = choose(self._network(), [asked[index]])[0]
        return results, len(fragile)

    def _network(self) -> Network:
        """The copy in fp32. It is made for the first fragile question, because it takes four bytes a parameter."""
        if self._fp32 is None:
            self._fp32 = Network(copy.deepcopy(self._model).float())
        return self._fp32
