"""Gates on a shift of refusals, in both directions: helpful answers that became refusals, and the reverse.

A quantised model may keep its score and still refuse more of what is harmless, or comply where it refused before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.methods import method_of
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.margins import DEFAULT_MARGINS

REFUSAL = "refusal"
"""Part of a score: 1 where the answer refuses."""
MORE, LESS = "refuses more", "refuses less"
SAME_AS = {"FRR": MORE, "refusals": LESS}
"""Metrics whose own gate looks at one direction already."""


def refusal_gates(pair: Pair, config: GateConfig) -> list[Judged]:
    """A gate for each direction that the benchmark's own metric does not judge; none where refusals are not told.

    The limit is that of the metric (5 points of answers about logs), else of the preset. A gate can FAIL; a PASS of the
    suite does not need it.
    """
    before, after = refusing(pair.base), refusing(pair.candidate)
    if before is None or after is None:
        return []
    sides = {MORE: (~before, ~after), LESS: (before, after)}
    covered = SAME_AS.get(str(pair.base.facts["metric"]))
    return [_gate(pair, config, what, *flags, float(before.mean()), float(after.mean()))
            for what, flags in sides.items() if what != covered]  # fmt: skip


def refusing(run: BenchmarkRun) -> NDArray[np.bool_] | None:
    """Which answers refuse, or None where the scores do not say."""
    told = run.values if run.facts["metric"] == "FRR" else run.part(REFUSAL)
    return None if told is None or not run.n else np.asarray(told > 0.5, dtype=np.bool_)


def _gate(
    pair: Pair, config: GateConfig, what: str, base: NDArray[np.bool_], candidate: NDArray[np.bool_], before: float,
    after: float,
) -> Judged:  # fmt: skip
    method = method_of(pair, config)
    margin = DEFAULT_MARGINS.get(str(pair.base.facts["metric"]), config.preset.margin(method.n_total))
    result = method.binary(base, candidate, margin, f"{pair.base.benchmark} {what}")
    return Judged(pair.base.benchmark, what, Member(result, Kind.SCORE, required=False, primary=False), before, after)
