"""The judge's gate: is the candidate preferred as often as its base? Made where a judge was asked during the run."""

from __future__ import annotations

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.methods import method_of
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.records.pair_verdicts import verdicts_of_pair
from pytest_slmsec.gates.statistics.judged_pairs import judged_gate
from pytest_slmsec.gates.statistics.result import POINTS, GateResult, Verdict

WIN_SHARE = "win share"
USUAL_MARGIN = 0.05


def pair_gate(pair: Pair, config: GateConfig) -> list[Judged]:
    """The judge's gate of one benchmark, where a judge was asked and the benchmark was judged whole.

    It counts only where ``[tool.slmsec.gate.judge]`` asks for it; else it is shown.
    """
    margin, asked = config.judge or USUAL_MARGIN, config.judge is not None
    if method_of(pair, config).design is not None:
        return []
    name = f"{pair.base.benchmark} {WIN_SHARE}"
    try:
        verdicts = verdicts_of_pair(pair)
        if not verdicts:
            return []
        result = judged_gate(verdicts, pair.candidate.model, pair.base.model, margin, config.alpha, name)
    except CompareError as error:
        result = GateResult(name, Verdict.ERROR, pair.base.n, None, None, None, margin, None, "none", POINTS,
                            reasons=(str(error),))  # fmt: skip
    member = Member(result, Kind.SCORE, required=False, primary=False, own_margin=asked)
    share = result.details.get("win_share")
    base = None if share is None else 0.5
    return [Judged(pair.base.benchmark, WIN_SHARE, member, base, share, advisory=not asked)]
