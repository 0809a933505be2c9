"""One gate of a comparison, and the measured values that are printed with it."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_slmsec.gates.decision.informative import BaseTest
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.statistics.result import UNINFORMATIVE, GateResult, Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """One gate, and the measured values that are printed with it.

    Attributes:
        benchmark: label, or an empty text for gates on the whole model. what: metric or measure.
        member: result and role. base, candidate: both measured values, in the unit of the result.
        advisory: shown, but no part of the verdict.
        base_test: of score gates, whether the base has anything to lose; None where that could not be tested.
    """

    benchmark: str
    what: str
    member: Member
    base: float | None = None
    candidate: float | None = None
    advisory: bool = False
    base_test: BaseTest | None = None

    @property
    def uninformative(self) -> str | None:
        """Why the gate cannot PASS, where the base was not shown to be better than a constant answer; else None."""
        return self.result.details.get(UNINFORMATIVE)

    @property
    def result(self) -> GateResult:
        """What the gate found."""
        return self.member.result

    @property
    def trips(self) -> bool:
        """Whether this is a KL beyond its budget that does not block: it asks for a closer look, and is no drop."""
        fidelity = self.member.kind is Kind.FIDELITY and not self.member.blocks
        return fidelity and self.result.verdict is Verdict.FAIL
