"""Questions whose answer hangs on numeric noise, and their answer in fp32."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from pytest_slmsec.engines.common.base import FRAGILE_DEVIATIONS
from pytest_slmsec.engines.decoding.choice_scoring import Chosen, choose
from pytest_slmsec.engines.decoding.network import Network
from pytest_slmsec.engines.packed.linears import PackedLinear
from pytest_slmsec.engines.prompting.encoded import Encoded


def margin_nats(chosen: Chosen) -> float:
    """Best minus second-best log-probability; infinite with one choice."""
    best, *rest = sorted(chosen.logprobs, reverse=True)
    return best - rest[0] if rest else float("inf")


class FragileItems:
    """Scores fragile questions again, one at a time, with a copy of the model in fp32.

    Args:
        model: the model in the dtype of the run. deviation_nats: how far its log-probabilities are off.
    """

    def __init__(self, model: Any, deviation_nats: float) -> None:
        self._model = model
        self._limit_nats = FRAGILE_DEVIATIONS * deviation_nats
        self._exact: Network | None = None

    @staticmethod
    def refusal(model: Any) -> str | None:
        """Why a model cannot be scored in fp32, or None."""
        parameters = list(model.parameters())
        if all(parameter.dtype == torch.float32 for parameter in parameters):
            return "it already runs in fp32"
        plain = all(
            type(module) in (torch.nn.Linear, PackedLinear) or "linear" not in type(module).__name__.lower()
            for module in model.modules()
            if not hasattr(module, "base_layer")  # an adapter's layer: the one it was added to is looked at
        )
        return None if plain else "its layers are quantised, and have no fp32 form"

    def again(self, asked: Sequence[Encoded], found: Sequence[Chosen]) -> tuple[list[Chosen], int]:
        """`found` with fragile ones replaced by their result in fp32, and how many those were."""
        fragile = [index for index, one in enumerate(found) if margin_nats(one) < self._limit_nats]
        results = list(found)
        for index in fragile:
            results[index] = choose(self._network(), [asked[index]], lambda: None)[0]
        return results, len(fragile)

    def _network(self) -> Network:
        """Made when the first fragile question comes: it takes four bytes a parameter."""
        if self._exact is None:
            self._exact = Network(copy.deepcopy(self._model).float())
        return self._exact
