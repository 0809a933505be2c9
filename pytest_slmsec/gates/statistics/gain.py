"""Gate on a gain: a fine-tuned candidate has to be better than its base by more than a limit.

It is the gate on a drop seen from the other side: what is claimed there with a FAIL, a change beyond the margin, is
claimed here with a PASS.
"""

from __future__ import annotations

from dataclasses import replace

from pytest_slmsec.gates.statistics.paired_binary import upper_tail
from pytest_slmsec.gates.statistics.result import GAIN, GateResult, Verdict

_TURNED = {Verdict.FAIL: Verdict.PASS, Verdict.PASS: Verdict.FAIL}


def turned(swapped: GateResult) -> GateResult:
    """The gate on a gain, from the binary gate on the same items with base and candidate in each other's place.

    A gain above the limit is claimed with the statistic of `paired_binary.fail_z`, one below it with Tango's. Drops,
    bounds and margin change their sign: a gain of 20 points is a drop of -20.
    """
    details = dict(swapped.details)
    if "lost" in details:
        details["lost"], details["gained"] = details["gained"], details["lost"]
    z = details.get("z_tango")
    return replace(
        swapped,
        verdict=_TURNED.get(swapped.verdict, swapped.verdict),
        estimate=_negative(swapped.estimate),
        lower=_negative(swapped.upper),
        upper=_negative(swapped.lower),
        margin=-swapped.margin,
        p_fail=None if z is None else upper_tail(-z),
        details={**details, GAIN: swapped.margin},
    )


def shifted(found: GateResult, min_gain: float) -> GateResult:
    """The gate on a gain, from the gate on differences from which twice the limit was taken, at the limit as margin.

    A drop that is below the limit after it was raised by twice the limit is a gain above it.
    """
    shift = 2 * min_gain
    return replace(
        found,
        estimate=_minus(found.estimate, shift),
        lower=_minus(found.lower, shift),
        upper=_minus(found.upper, shift),
        margin=-min_gain,
        scale=found.scale - shift,
        details={**found.details, GAIN: min_gain},
    )


def _negative(value: float | None) -> float | None:
    return None if value is None else -value


def _minus(value: float | None, shift: float) -> float | None:
    return None if value is None else value - shift
