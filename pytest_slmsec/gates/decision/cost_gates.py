"""The gates on what a model costs: speed, peak memory and size on disk, over all benchmarks of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.policy.config import SIZE, GateConfig
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.paired_throughput import advisory_throughput
from pytest_slmsec.gates.statistics.result import PERCENT, TIME, GateResult, Verdict
from pytest_slmsec.gates.statistics.size_threshold import MINIMUM_RUNS, memory_gate, size_gate

SPEED, MEMORY, SIZE_ON_DISK, KL = "tokens/s", "peak memory", "model size", "KL a token"


def cost_gates(pairs: Sequence[Pair], config: GateConfig, live: Sequence[Judged] = ()) -> list[Judged]:
    """Speed, memory and size, each where it was measured on both sides; `live` was measured with both models loaded."""
    if not pairs:
        return []
    speed = next((judged for judged in live if judged.what == SPEED), None)
    errors = tuple(dict.fromkeys(text for pair in pairs for text in pair.cost_errors))
    found = (speed or _speed(pairs, config, errors), _memory(pairs, config, errors), _size(pairs, config))
    others = [judged for judged in live if judged is not speed]
    return others + [judged for judged in found if judged is not None]


def live_speed(result: GateResult, base: float | None, candidate: float | None) -> Judged:
    """The gate on a speed that was measured in turns. It is part of the verdict; an undecided one has no p-value."""
    if result.verdict is Verdict.INCONCLUSIVE:
        result = replace(result, p_fail=None)
    return Judged("", SPEED, Member(result, Kind.COST, True, primary=False, own_margin=True), base, candidate)


def live_fidelity(result: GateResult, blocks: bool) -> Judged:
    """The gate on KL. Beyond its budget it keeps the suite from PASS; where `blocks` is set, it FAILs the suite."""
    member = Member(result, Kind.FIDELITY, True, primary=False, blocks=blocks)
    return Judged("", KL, member, None, result.estimate)


def broken(name: str, margin: float, errors: tuple[str, ...], unit: str = PERCENT) -> GateResult:
    """The result of a comparison that cannot be made: an ERROR with its reasons."""
    return GateResult(name, Verdict.ERROR, 0, None, None, None, margin, None, "none", unit, reasons=errors)


def _judged(result: GateResult, what: str, base: float, candidate: float, required: bool) -> Judged:
    member = Member(result, Kind.COST, required, primary=False, own_margin=required)
    return Judged("", what, member, base, candidate, advisory=not required)


def _speed(pairs: Sequence[Pair], config: GateConfig, errors: tuple[str, ...]) -> Judged | None:
    """Tokens per second over the base's own number of tokens, so that a longer answer does not count as speed."""
    for rate, tokens in (("decode_tokens_per_s", "new_tokens"), ("prefill_tokens_per_s", "prompt_tokens")):
        known = [pair for pair in pairs if _number(pair.base, rate) and _number(pair.candidate, rate)]
        work = [_number(pair.base, tokens) or 0.0 for pair in known]
        if sum(work) > 0:
            break
    else:
        return _unmeasured(pairs, SPEED, "decode_tokens_per_s", config.max_slowdown)
    speeds = [
        sum(work) / sum(w / (_number(run, rate) or 1.0) for w, run in zip(work, runs, strict=True))
        for runs in ([pair.base for pair in known], [pair.candidate for pair in known])
    ]
    result = advisory_throughput(speeds[0], speeds[1], config.max_slowdown, gate=SPEED)
    if errors:
        result = broken(SPEED, config.max_slowdown, errors, TIME)
    return _judged(result, SPEED, speeds[0], speeds[1], required=False)


def _unmeasured(pairs: Sequence[Pair], what: str, key: str, margin: float) -> Judged | None:
    """An ERROR with the reason, where a recorded run says why its own number cannot be used (padding was counted)."""
    runs = [run for pair in pairs for run in (pair.base, pair.candidate)]
    found = [(run, _reason(run, key)) for run in runs]
    reasons = [f"The {what} of {run.model} was not measured: {why}." for run, why in found if why]
    known = tuple(dict.fromkeys(reasons + [text for pair in pairs for text in pair.cost_errors]))
    if not known:
        return None
    result = broken(what, margin, known, TIME if what == SPEED else PERCENT)
    member = Member(result, Kind.COST, required=False, primary=False)
    return Judged("", what, member, None, None, advisory=True)


def _reason(run: BenchmarkRun, key: str) -> str | None:
    """Why a recorded run's own measurement counts for nothing, or None."""
    return ((run.facts.get("recorded") or {}).get("reasons") or {}).get(key)


def _memory(pairs: Sequence[Pair], config: GateConfig, errors: tuple[str, ...]) -> Judged | None:
    for key in ("peak_gpu_bytes", "peak_rss_bytes"):
        peaks = [[_number(run, key) for run in runs]
                 for runs in ([p.base for p in pairs], [p.candidate for p in pairs])]  # fmt: skip
        if all(peak is not None for side in peaks for peak in side):
            break
    else:
        explained = any(_reason(run, "peak_gpu_bytes") for pair in pairs for run in (pair.base, pair.candidate))
        share = config.memory_allowance(True).share
        return _unmeasured(pairs, MEMORY, "peak_gpu_bytes", share) if explained else None
    base, candidate = (int(max(peak for peak in side if peak is not None)) for side in peaks)
    allowance = config.memory_allowance(key == "peak_gpu_bytes")
    ours = _runs([pair.base for pair in pairs], key, base)
    theirs = _runs([pair.candidate for pair in pairs], key, candidate)
    result = memory_gate(ours, theirs, allowance, gate=MEMORY)
    base, candidate = result.details["base_bytes"], result.details["candidate_bytes"]
    if errors:
        result = broken(MEMORY, allowance.limit_bytes(base) / base - 1, errors)
    required = config.memory_runs >= MINIMUM_RUNS
    return _judged(result, MEMORY, base, candidate, required)


def _runs(runs: Sequence[BenchmarkRun], key: str, own: int) -> list[int]:
    """The peaks of all runs: that of the run itself, unless the others count alone (`gating.memory_measurement`)."""
    again = [run.facts.get("peaks_again") or {} for run in runs]
    measured = [peaks[key] for peaks in again if peaks.get(key)]
    found = [int(max(peaks)) for peaks in zip(*measured, strict=False)]
    return found if len(found) >= MINIMUM_RUNS else [own, *found]


def _size(pairs: Sequence[Pair], config: GateConfig) -> Judged | None:
    """Bytes on disk. A model made from the base must not be larger; another model only where a limit was set."""
    runs = pairs[0].base, pairs[0].candidate
    base, candidate = ((run.facts.get("engine") or {}).get("model_bytes") for run in runs)
    if not base or not candidate:
        return None
    limit = int((config.size or SIZE).limit_bytes(base))
    growth = candidate / base - 1
    result = replace(size_gate(candidate, limit, gate=SIZE_ON_DISK), estimate=growth, lower=growth, upper=growth,
                     margin=limit / base - 1)  # fmt: skip
    made_of = [(run.facts["base"], run.facts.get("adapter")) for run in runs]
    required = config.size is not None or made_of[0] == made_of[1]
    return _judged(result, SIZE_ON_DISK, base, candidate, required)


def _number(run: BenchmarkRun, key: str) -> float | None:
    value = run.facts.get(key)
    return None if value is None else float(value)
