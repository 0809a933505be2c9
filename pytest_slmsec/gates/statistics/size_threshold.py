"""Gate on memory and file size: a threshold, no statistics, for repeats agree to the byte or something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.result import GateResult, Verdict

MIB = 1024**2
MINIMUM_RUNS = 2


@dataclass(frozen=True, slots=True)
class Allowance:
    """Tolerated increase: `share` of the base plus `extra_bytes`; repeats may differ by `repeat_share`."""

    share: float
    extra_bytes: int
    repeat_share: float = 0.01

    def __post_init__(self) -> None:
        """Refuse negative allowances.

        Raises:
            UsageError: one is negative.
        """
        if min(self.share, self.extra_bytes, self.repeat_share) < 0:
            raise UsageError(f"A memory allowance cannot be negative, got {self}.")

    def limit_bytes(self, base_bytes: int) -> float:
        """The most the candidate may use."""
        return base_bytes * (1 + self.share) + self.extra_bytes


DEVICE = Allowance(0.02, 16 * MIB)
"""For peak allocated memory of an accelerator."""

RESIDENT = Allowance(0.05, 64 * MIB, 0.05)
"""For the resident set of a process, which repeats less exactly: pages come and go as suits the system."""


def _unsteady(runs: Sequence[int], allowance: Allowance) -> bool:
    return max(runs) - min(runs) > allowance.repeat_share * max(runs)


def memory_gate(
    base_bytes: Sequence[int], candidate_bytes: Sequence[int], allowance: Allowance = DEVICE, *, gate: str = "memory"
) -> GateResult:
    """Does the candidate's peak, the largest of its runs, stay within the allowance above the base's?

    Returns:
        ERROR if repeats of either differ by more than 1 %, INCONCLUSIVE with fewer than two runs of either, else FAIL
        or PASS. Estimate and margin are shares of the base.

    Raises:
        UsageError: no runs, or a size that is not positive.
    """
    if not base_bytes or not candidate_bytes or min(*base_bytes, *candidate_bytes) <= 0:
        raise UsageError("The memory gate needs the peak of at least one run of base and candidate, in positive bytes; "
                         f"got {list(base_bytes)} and {list(candidate_bytes)}.")  # fmt: skip
    base, candidate = max(base_bytes), max(candidate_bytes)
    limit, runs = allowance.limit_bytes(base), min(len(base_bytes), len(candidate_bytes))
    verdict, reasons = Verdict.FAIL if candidate > limit else Verdict.PASS, tuple[str, ...]()
    if runs < MINIMUM_RUNS:
        verdict, reasons = Verdict.INCONCLUSIVE, ("One run cannot show that its peak repeats; run base and candidate "
                                                  "twice.",)  # fmt: skip
    for name, peaks in (("base", base_bytes), ("candidate", candidate_bytes)):
        if _unsteady(peaks, allowance):
            verdict = Verdict.ERROR
            reasons += (f"Peaks of the {name} differ by more than {100 * allowance.repeat_share:g} % between runs: "
                        f"{min(peaks):,} and {max(peaks):,} bytes.",)  # fmt: skip
    increase = candidate / base - 1
    details = {"base_bytes": base, "candidate_bytes": candidate, "limit_bytes": limit,
               "base_runs": list(base_bytes), "candidate_runs": list(candidate_bytes)}  # fmt: skip
    return GateResult(gate, verdict, runs, increase, increase, increase, limit / base - 1, None, "threshold", "%",
                      reasons=reasons, details=details)  # fmt: skip


def size_gate(candidate_bytes: int, declared_bytes: int, *, gate: str = "file size") -> GateResult:
    """Is the model on disk at most as large as declared? Exact: PASS or FAIL.

    Raises:
        UsageError: a size that is not positive.
    """
    if candidate_bytes <= 0 or declared_bytes <= 0:
        raise UsageError(f"File sizes must be positive bytes, got {candidate_bytes} and {declared_bytes} (declared).")
    excess = candidate_bytes / declared_bytes - 1
    details = {"candidate_bytes": candidate_bytes, "limit_bytes": declared_bytes}
    verdict = Verdict.FAIL if candidate_bytes > declared_bytes else Verdict.PASS
    return GateResult(gate, verdict, 1, excess, excess, excess, 0.0, None, "exact", "%", details=details)
