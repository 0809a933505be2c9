"""The gate on the gain of a fine-tuned candidate, in the place of the gate on a drop where ``min_gain`` is set."""

from __future__ import annotations

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.decision.group_gates import improvements
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.methods import method_of, whole_benchmark_only
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.gain import shifted, turned
from pytest_slmsec.gates.statistics.margins import METRIC_UNITS


def gain_gate(pair: Pair, config: GateConfig, min_gain: float) -> Judged:
    """PASS where the gain is surely above `min_gain` (a share of the scale), FAIL where it is surely below.

    Whether the base knows anything does not matter, and what the benchmark gained makes up for no drop elsewhere.

    Raises:
        UsageError: the benchmark may stop before all items are asked.
    """
    facts, method = pair.base.facts, method_of(pair, config)
    metric, scale = str(facts["metric"]), float(facts["scale"])
    name = f"{pair.base.benchmark} {metric}"
    if method.design is not None:
        raise UsageError(whole_benchmark_only(name))
    before, after = pair.base, pair.candidate
    if facts.get("binary", metric == "accuracy"):
        result = turned(method.binary(after.flags("correct"), before.flags("correct"), min_gain, name))
    else:
        limit = min_gain * scale
        unit = "points" if scale == 1 else METRIC_UNITS.get(metric, metric)
        raised = method.real(improvements(pair) - 2 * limit, limit, scale + 2 * limit, name, unit)
        result = shifted(raised, limit)
    member = Member(result, Kind.SCORE, required=False, own_margin=True, gain=True)
    return Judged(pair.base.benchmark, metric, member, float(before.values.mean()), float(after.values.mean()))
