"""The gate on the worst category of a benchmark; made where ``worst_group`` is set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.methods import method_of, whole_benchmark_only
from pytest_slmsec.gates.policy.config import GateConfig, Rule
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.categories import part_of, rows_by_category
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.margins import METRIC_UNITS
from pytest_slmsec.gates.statistics.result import POINTS, GateResult, Verdict
from pytest_slmsec.gates.statistics.worst_group import MIN_ITEMS, worst_group_gate

WORST_CATEGORY = "worst category"


def group_gate(pair: Pair, config: GateConfig, rule: Rule) -> Judged | None:
    """The gate on the categories of at least `MIN_ITEMS` items, by the benchmark's own metric; None: not asked for.

    Where no category has so many, the gate is INCONCLUSIVE; it then counts only where the benchmark's own rule asks.

    Raises:
        UsageError: the benchmark may stop before all items are asked.
    """
    limit = rule.worst_group or config.worst_group
    if limit is None or (rule.worst_group is None and not rows_by_category(pair)):
        return None
    name = f"{pair.base.benchmark} {WORST_CATEGORY}"
    if method_of(pair, config).design is not None:
        raise UsageError(whole_benchmark_only(name))
    parts = {key: part_of(pair, rows) for key, rows in rows_by_category(pair).items() if len(rows) >= MIN_ITEMS}
    if not parts:
        return _too_small(pair, limit, name, advisory=rule.worst_group is None)
    strict = replace(config, alpha=config.alpha / len(parts))
    unit = unit_of(pair)
    result = worst_group_gate(
        {key: part_gate(part, config, limit, key, unit) for key, part in parts.items()},
        {key: part_gate(part, strict, limit, key, unit) for key, part in parts.items()},
        name,
        unit,
    )
    worst = parts[result.details["worst"]]
    reason = f"The worst of {len(parts)} categories of {MIN_ITEMS} items or more is {result.details['worst']!r}."
    member = Member(replace(result, reasons=(reason,)), Kind.SCORE, required=False, primary=False, own_margin=True)
    base, candidate = float(worst.base.values.mean()), float(worst.candidate.values.mean())
    return Judged(pair.base.benchmark, WORST_CATEGORY, member, base, candidate)


def unit_of(pair: Pair) -> str:
    """The unit in which a drop of the benchmark's own metric is told."""
    facts = pair.base.facts
    return POINTS if float(facts["scale"]) == 1 else METRIC_UNITS.get(str(facts["metric"]), "")


def part_gate(pair: Pair, config: GateConfig, limit: float, name: str, unit: str) -> GateResult:
    """The gate on a part of the items: right answers where the metric counts them, else its scores.

    Args:
        limit: tolerated drop, a share of the scale.
    """
    method, facts = method_of(pair, config), pair.base.facts
    if facts.get("binary", facts["metric"] == "accuracy"):
        return method.binary(pair.base.flags("correct"), pair.candidate.flags("correct"), limit, name)
    scale = float(facts["scale"])
    return method.real(improvements(pair), limit * scale, scale, name, unit)


def improvements(pair: Pair) -> NDArray[np.float64]:
    """Candidate minus base, one an item, turned so that more is better."""
    differences: NDArray[np.float64] = pair.candidate.values - pair.base.values
    return differences if pair.base.facts["higher_is_better"] else -differences


def _too_small(pair: Pair, limit: float, name: str, advisory: bool) -> Judged:
    reason = f"No category of {pair.base.benchmark} has {MIN_ITEMS} items, so none is judged by itself."
    result = GateResult(name, Verdict.INCONCLUSIVE, 0, None, None, None, limit, None, "none", reasons=(reason,))
    member = Member(result, Kind.SCORE, required=False, primary=False, own_margin=True)
    return Judged(pair.base.benchmark, WORST_CATEGORY, member, advisory=advisory)
