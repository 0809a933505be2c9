"""What a score card is held against: the table ``[tool.slmsec.card]``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import check_keys
from pytest_slmsec.gates.policy.values import as_table, flag

QUALITY = ("accuracy", "robustness")
"""Axes on which more is better: quality corrected for chance."""
COSTS = ("latency", "size", "memory", "inference time", "power")
"""Axes on which less is better: ratios to the base."""
AXES = ("accuracy", *COSTS, "robustness")
MOST_LOST = 0.02
"""Default limit of an axis of quality: what may be lost against the base; the gate's margin."""
MOST_COST = 1.0
"""Default limit of a cost: no more than the base."""
KEYS = ("limits", "weights", "worth_it")


@dataclass(frozen=True, slots=True)
class CardLimits:
    """Limits and weights of a card.

    Attributes:
        limits: by axis: of quality, how much less than the base is tolerated, a share; of a cost, the highest ratio.
        weights: by axis, above 0; empty where nobody gave any. worth_it: a dominated form is a failure.
    """

    limits: Mapping[str, float] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    worth_it: bool = False

    def limit(self, axis: str) -> float:
        """The limit of an axis, its own or the default."""
        return self.limits.get(axis, MOST_LOST if axis in QUALITY else MOST_COST)


def read_limits(table: Mapping[str, Any], where: str) -> CardLimits:
    """The configuration of a card.

    Raises:
        UsageError: an unknown key or axis, named with a near match, or a value that is no limit or weight.
    """
    check_keys(where, table, KEYS)
    limits = _numbers(table.get("limits", {}), f"{where} limits", 0.0)
    weights = _numbers(table.get("weights", {}), f"{where} weights", math.ulp(0.0))
    for axis, limit in limits.items():
        if axis in COSTS and limit == 0:
            raise UsageError(
                f"{where} limits.{axis} = 0: a cost of 0 times the base's cannot be; write a ratio above 0."
            )
    return CardLimits(limits, weights, flag(table.get("worth_it", False), f"{where} worth_it"))


def _numbers(value: Any, where: str, least: float) -> dict[str, float]:
    """A number of at least `least` by axis."""
    table = as_table(value, where)
    check_keys(where, table, AXES, "there is no axis")
    return {axis: _number(number, f"{where}.{axis}", least) for axis, number in table.items()}


def _number(value: Any, where: str, least: float) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value < math.inf:
        raise UsageError(f"{where} = {value!r}: must be a number {'above 0' if least > 0 else 'of at least 0'}.")
    return float(value)
