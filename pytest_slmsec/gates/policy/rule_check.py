"""Checks that a rule fits its benchmark: its metric, and the kind and size of its margin."""

from __future__ import annotations

from typing import NamedTuple

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.policy.config import Rule
from pytest_slmsec.gates.statistics.margins import METRIC_UNITS

P_CORRECT = "p_correct"


class Scale(NamedTuple):
    """What a rule has to fit: the metric of a benchmark.

    Attributes:
        metric: its name. share: it is a share of right or wrong answers, so that its margin is in points either way.
        width: worst minus best, in the metric's unit. by_choice: options are scored, so that each has a probability.
    """

    metric: str
    higher_is_better: bool
    share: bool
    width: float
    by_choice: bool


def check_rule(rule: Rule, benchmark: str, scale: Scale) -> None:
    """Refuse a margin of the wrong kind or size, and a metric that the benchmark does not have.

    Raises:
        UsageError: names the key, and the one that fits.
    """
    if rule.min_gain is not None and (rule.own_margin or rule.metrics is not None):
        raise UsageError(f"{rule.where}: min_gain is judged by the metric of {benchmark} alone, in the place of a "
                         "drop; leave out max_drop, max_increase and metric.")  # fmt: skip
    unit, points = METRIC_UNITS.get(scale.metric, scale.metric), scale.share or scale.higher_is_better
    if rule.max_increase is not None and points:
        raise UsageError(f"{rule.where}: max_increase does not fit {benchmark}, whose {scale.metric} is gated by how "
                         'far it may get worse in points; write max_drop = "2pt" or the like.')  # fmt: skip
    if rule.max_drop is not None and not points:
        raise UsageError(f"{rule.where}: max_drop does not fit {benchmark}, whose {scale.metric} is better when it is "
                         f"lower; write max_increase in {unit}, such as max_increase = 0.1.")  # fmt: skip
    if rule.max_increase is not None and rule.max_increase >= scale.width:
        raise UsageError(f"{rule.where} max_increase = {rule.max_increase:g}: must be below {scale.width:g}, the whole "
                         f"range of {benchmark} in {unit}.")  # fmt: skip
    known = [scale.metric, *([P_CORRECT] if scale.by_choice else [])]
    for name in rule.metrics or ():
        if name.casefold() not in (one.casefold() for one in known):
            raise UsageError(f"{rule.where}: {benchmark} has no metric {name!r}; it has {', '.join(known)}."
                             + _remedy(name))  # fmt: skip


def _remedy(name: str) -> str:
    return " Probabilities exist where options are scored and no text is generated." if name == P_CORRECT else ""
