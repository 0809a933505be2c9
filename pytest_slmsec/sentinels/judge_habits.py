"""A judge of pairs that says the same of every pair, prefers one place, or prefers the longer answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.judge_habits import Judged, constant, from_plain, prefers_first, prefers_longer
from pytest_slmsec.sentinels.base import Evidence, Sentinel


def _check(look: Callable[[Sequence[Judged]], str | None]) -> Callable[[Evidence], str | None]:
    """The sentinel's check, from what looks at the verdicts. Damaged verdicts of a stored run show nothing."""

    def check(evidence: Evidence) -> str | None:
        rows = zip(evidence.item, evidence.pair_verdicts, strict=False)
        try:
            return look([from_plain(verdict, item, item, "") for item, both in rows for verdict in both or ()])
        except CompareError:
            return None

    return check


CONSTANT = Sentinel(
    "judge-constant",
    "The judge said the same of every pair of answers, so its verdicts say nothing.",
    "Read the judge's words in the record (pair_verdicts); name a larger judge with --slmsec-pair-judge.",
    _check(constant),
)
PREFERS_FIRST = Sentinel(
    "judge-prefers-first",
    "The judge prefers the answer in one place, whatever it says.",
    "Do not trust its verdicts; name another judge with --slmsec-pair-judge.",
    _check(prefers_first),
)
PREFERS_LONGER = Sentinel(
    "judge-prefers-longer",
    "The judge prefers the longer answer.",
    "Read some pairs; where the longer answers are no better, name another judge with --slmsec-pair-judge.",
    _check(prefers_longer),
)
