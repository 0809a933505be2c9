"""The four verdicts, and the record that every gate returns.

A gate compares a candidate with its base on the same items. Everywhere in this package a *drop* is how much worse the
candidate is: positive means worse, whatever the direction of the metric.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from typing import Any, NamedTuple

from pytest_slmsec.core.errors import CompareError, UsageError

POINTS, PERCENT = "points", "%"
TIME = "% time"
"""Growth of the time for the same work. Half the speed is twice the time, and printed as -50 % of the tokens/s."""


UNINFORMATIVE = "uninformative"
"""Key of `GateResult.details`: the sentence on a base that has nothing to lose, so that the gate cannot PASS."""
GAIN = "min_gain"
"""Key of `GateResult.details`: the gain that is asked for, in the unit of the result, where no drop is tolerated."""


class Verdict(str, Enum):
    """What a gate says; one interval decides between the first three.

    PASS: the upper bound of the drop is within the margin. FAIL: the lower bound is beyond it. INCONCLUSIVE: the bounds
    lie on both sides of the margin. ERROR: the comparison itself is broken and says nothing about the candidate.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ERROR = "ERROR"

    @property
    def exit_code(self) -> int:
        """Exit status of a command that ends with this verdict: 0, 1, 2, 3."""
        return list(Verdict).index(self)

    @classmethod
    def worst(cls, verdicts: Iterable[Verdict]) -> Verdict:
        """The gravest of several verdicts: ERROR before FAIL before INCONCLUSIVE before PASS.

        Raises:
            UsageError: `verdicts` is empty; nothing measured is not a pass.
        """
        gravity = (cls.PASS, cls.INCONCLUSIVE, cls.FAIL, cls.ERROR)
        found = list(verdicts)
        if not found:
            raise UsageError("There is no verdict to summarise: no gate ran. Select at least one gate.")
        return max(found, key=gravity.index)


class Bounds(NamedTuple):
    """One-sided confidence bounds of a drop, each at its own level; None where no finite bound can be given."""

    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate found; plain data that survives JSON.

    Attributes:
        gate: name of the gate, e.g. ``cti-mcq accuracy``.
        verdict: the verdict.
        n: independent units measured (items, rounds, runs).
        estimate: the measured drop, in units of the metric (shares of 1 for accuracy; of speed the growth of time).
        lower, upper: one-sided confidence bounds of the drop, same unit; None where no finite bound can be given.
        margin: the largest tolerated drop, same unit.
        p_fail: raw one-sided p-value of "the drop is beyond the margin"; None where the gate is no statistical test.
        method: how the bounds were found, e.g. ``tango+scas``.
        unit: how to print it: ``points`` and ``%`` are printed times 100, `TIME` as what it makes of tokens/s, any
            other unit as it stands.
        scale: worst minus best of the metric (1 for shares, 10 for CVSS points), to put gates on a common scale.
        reasons: sentences that explain the verdict beyond the bounds, each complete.
        details: further numbers, plain data (str, int, float, bool, None, list, dict).
    """

    gate: str
    verdict: Verdict
    n: int
    estimate: float | None
    lower: float | None
    upper: float | None
    margin: float
    p_fail: float | None
    method: str
    unit: str = POINTS
    scale: float = 1.0
    reasons: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse numbers that JSON cannot carry and that would compare as neither pass nor fail."""
        for name in ("estimate", "lower", "upper", "margin", "p_fail", "scale"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise CompareError(f"Gate {self.gate!r}: {name} is {value}, not a finite number; give None instead.")

    def to_json(self) -> dict[str, Any]:
        """The result as plain data for ``json.dump``."""
        return {**asdict(self), "verdict": self.verdict.value, "reasons": list(self.reasons)}

    @property
    def failure(self) -> str:
        """What a FAIL of this gate says, as a clause."""
        return "the gain is below what is asked for" if GAIN in self.details else "the drop is beyond its limit"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> GateResult:
        """The inverse of `to_json`.

        Raises:
            CompareError: a key is missing or unknown, or the verdict is none of the four.
        """
        known = {f.name for f in fields(cls)}
        if set(data) != known:
            wrong = ", ".join(sorted(known.symmetric_difference(data)))
            raise CompareError(f"A stored gate result has missing or unknown keys: {wrong}. Measure it again.")
        if data["verdict"] not in {v.value for v in Verdict}:
            raise CompareError(f"Gate {data['gate']!r}: {data['verdict']!r} is no verdict. Measure it again.")
        return cls(**{**data, "verdict": Verdict(data["verdict"]), "reasons": tuple(data["reasons"])})


def three_way(fails: bool, passes: bool) -> Verdict:
    """FAIL before PASS, and INCONCLUSIVE where neither was shown."""
    if fails:
        return Verdict.FAIL
    return Verdict.PASS if passes else Verdict.INCONCLUSIVE


ROUNDING = 1e-9
"""A bound this near to a margin is taken to be the margin. Differences of scores carry errors of rounding: 0.5 - 0.48
is a little more than 0.02."""


def decide(bounds: Bounds, margin: float) -> Verdict:
    """The verdict that one interval implies: never PASS on a point estimate, neither where a bound is the margin."""
    if bounds.lower is not None and bounds.lower > margin + ROUNDING:
        return Verdict.FAIL
    if bounds.upper is not None and bounds.upper < margin - ROUNDING:
        return Verdict.PASS
    return Verdict.INCONCLUSIVE
