"""The seven axes of a score card, from stored runs.

Quality is corrected for chance: (score - constant) / (1 - constant), where `constant` is the score of the best constant
answer, both as shares of the scale in which 1 is best. 0 is what an answer without knowledge gets, 1 is perfect, and
below 0 is worse than no knowledge (Cohen 1960, "A coefficient of agreement for nominal scales", eq. 1, with the
constant answer in the place of chance agreement). Costs are ratios to the base: 0.5 is half of what the base takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.reports.card.limits import COSTS, QUALITY, CardLimits

ROBUST = "+robust"
"""In the name of a benchmark of perturbed items."""
NOT_MEASURED = "not measured"
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a card.

    Attributes:
        value: quality corrected for chance, or the ratio of a cost to the base; None: not measured, see `reason`.
        base: the same of the base. limit: lowest tolerated quality, or highest tolerated ratio; None where unknown.
        note: what the numbers are made of. reason: why there is no value.
    """

    name: str
    value: float | None
    base: float | None = None
    limit: float | None = None
    note: str = ""
    reason: str | None = None

    @property
    def within(self) -> bool | None:
        """Whether the limit is kept; None where that is not known."""
        if self.value is None or self.limit is None:
            return None
        return self.value >= self.limit if self.name in QUALITY else self.value <= self.limit


def above_chance(run: BenchmarkRun) -> float | None:
    """Quality of a benchmark corrected for chance; None where it has no score, or no known constant answer below 1."""
    facts = run.facts
    constant = (facts.get("constant") or {}).get("value")
    score, scale = facts.get("score"), float(facts["scale"])
    if score is None or constant is None:
        return None
    shares = [value / scale if facts["higher_is_better"] else 1 - value / scale for value in (score, constant)]
    return None if shares[1] >= 1 else (shares[0] - shares[1]) / (1 - shares[1])


def axes_of(
    base: Sequence[BenchmarkRun], candidate: Sequence[BenchmarkRun], limits: CardLimits, seconds: Mapping[str, float]
) -> list[Axis]:
    """The seven axes of one model beside its base, in the order of `limits.AXES`, over the benchmarks that both have.

    Args:
        base, candidate: the runs of one model each. seconds: seconds an item of a run, by `key_of`.
    """
    theirs = {run.benchmark: run for run in candidate}
    pairs = [(run, theirs[run.benchmark]) for run in base if run.benchmark in theirs]
    quality = [_quality(name, [p for p in pairs if (ROBUST in p[0].benchmark) == (name == "robustness")], limits)
               for name in QUALITY]  # fmt: skip
    strange = _different_conditions(pairs)
    costs = [
        Axis(name, None, reason=strange) if strange else _cost(name, pairs, limits, COST[name], seconds)
        for name in COSTS
    ]
    return [quality[0], *costs, quality[1]]


def key_of(run: BenchmarkRun) -> str:
    """The key of a run among those of one card."""
    return f"{run.where}\n{run.benchmark}\n{run.model}"


Pairs = Sequence[tuple[BenchmarkRun, BenchmarkRun]]


def _quality(name: str, pairs: Pairs, limits: CardLimits) -> Axis:
    found = [(above_chance(base), above_chance(candidate)) for base, candidate in pairs]
    known = [(before, after) for before, after in found if before is not None and after is not None]
    if not known:
        no_robust = f"{NOT_MEASURED}: no benchmark of perturbed items (--slmsec-perturb)"
        no_constant = f"{NOT_MEASURED}: no benchmark with a constant answer"
        return Axis(name, None, reason=no_robust if name == "robustness" else no_constant)
    before, after = (math.fsum(side) / len(known) for side in zip(*known, strict=True))
    note = f"above chance, mean of {len(known)} benchmark{'' if len(known) == 1 else 's'}"
    return Axis(name, after, before, before - limits.limit(name), note)


Reading = tuple[float | None, str]
"""A cost of one benchmark, and why it is None."""


def _cost(
    name: str, pairs: Pairs, limits: CardLimits, read: Callable[[BenchmarkRun, Mapping[str, float]], Reading],
    seconds: Mapping[str, float],
) -> Axis:  # fmt: skip
    """The ratio of a cost: of sums over items for times and energy, of the highest for sizes and memory."""
    readings = [(read(base, seconds), read(candidate, seconds)) for base, candidate in pairs]
    missing = next((why for pair in readings for value, why in pair if value is None), None)
    if not readings or missing is not None:
        return Axis(name, None, reason=missing or NOT_MEASURED)
    values = [[value for value, _ in side if value is not None] for side in zip(*readings, strict=True)]
    total = max if name in ("size", "memory") else math.fsum
    before, after = (float(total(side)) for side in values)
    if before <= 0:
        return Axis(name, None, reason=f"{NOT_MEASURED}: the base's is 0")
    return Axis(name, after / before, 1.0, limits.limit(name), _amounts(name, before, after, len(pairs)))


def _amounts(name: str, before: float, after: float, n: int) -> str:
    if name in ("size", "memory"):
        return f"{after / MIB:,.1f} of {before / MIB:,.1f} MiB"
    unit = "J" if name == "power" else "s"
    what = "one request at a time" if name == "latency" else "an item"
    return f"{after / n:.3g} of {before / n:.3g} {unit}, {what}"


def _size(run: BenchmarkRun, seconds: Mapping[str, float]) -> Reading:
    return (run.facts.get("engine") or {}).get("model_bytes"), f"{NOT_MEASURED}: {run.model} has no weight files here"


def _memory(run: BenchmarkRun, seconds: Mapping[str, float]) -> Reading:
    peak = run.facts.get("peak_gpu_bytes")
    return (peak if peak is not None else run.facts.get("peak_rss_bytes")), _why(run, "peak_rss_bytes")


def _time(run: BenchmarkRun, seconds: Mapping[str, float]) -> Reading:
    return seconds.get(key_of(run)), f"{NOT_MEASURED}: the run of {run.model} stores no times"


def _latency(run: BenchmarkRun, seconds: Mapping[str, float]) -> Reading:
    found = run.facts.get("single_request") or {}
    return found.get("p50_s"), f"{NOT_MEASURED}: {found.get('reason') or 'no device profile (--slmsec-device-profile)'}"


def _energy(run: BenchmarkRun, seconds: Mapping[str, float]) -> Reading:
    spent = run.facts.get("energy_j")
    return (None if spent is None else spent / max(1, run.n)), _why(run, "energy_j")


def _why(run: BenchmarkRun, key: str) -> str:
    return f"{NOT_MEASURED}: {(run.facts.get('reasons') or {}).get(key, 'the run does not say')}"


COST: Mapping[str, Callable[[BenchmarkRun, Mapping[str, float]], Reading]] = {
    "latency": _latency,
    "size": _size,
    "memory": _memory,
    "inference time": _time,
    "power": _energy,
}


def _different_conditions(pairs: Pairs) -> str | None:
    """Why costs of base and candidate say nothing beside each other, or None."""
    for base, candidate in pairs:
        profiles = [_profile(run) for run in (base, candidate)]
        if profiles[0] != profiles[1]:
            return f"not compared: measured under the device profiles {profiles[0]} and {profiles[1]}"
        if machine_of(base) != machine_of(candidate):
            return "not compared: measured on two machines"
    return None


def _profile(run: BenchmarkRun) -> str:
    found = run.facts.get("device_profile") or {}
    return f"{found['name']} ({found.get('how')})" if found else "none"


def machine_of(run: BenchmarkRun) -> tuple[Any, ...]:
    """What makes two machines the same one for costs; package versions may differ."""
    return tuple(run.machine.get(key) for key in ("cpu", "cpus_usable", "memory_bytes", "gpu"))
