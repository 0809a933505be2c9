"""What a run within a device profile says below the tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_slmsec.reports.evaluation_results import Cost, EvaluationResult, over_all_benchmarks

GB = 2**30


def device_notes(results: Sequence[EvaluationResult]) -> list[str]:
    """For each model under a profile: its peak of memory and mean power beside the profile's, and the latency of one
    request at a time on each benchmark. It says "on this CPU, limited to", since nothing here ran on the device."""
    lines = []
    for model in dict.fromkeys(evaluated.model for evaluated in results):
        mine = [evaluated for evaluated in results if evaluated.model == model]
        profile = mine[0].header.get("device_profile")
        if profile is None:
            continue
        cost = over_all_benchmarks(mine)[0].cost()
        limits = f"limited to {profile['name']} ({profile['how']})"
        lines.append(f"{model} on this {_unit(profile)}, {limits}: {_memory(profile, cost)}{_power(profile, mine)}.")
        lines += [f"{model} {one.label}: {_latency(one)}." for one in mine if one.header.get("single_request")]
    return lines


def _unit(profile: dict[str, Any]) -> str:
    return "CPU" if profile["accelerator"] == "none" else "GPU"


def _memory(profile: dict[str, Any], cost: Cost) -> str:
    peak = cost.peak_rss_bytes
    if peak is None:
        return f"its peak of memory is unknown, the profile has {profile['memory_gb']:g} GB"
    over = " - MORE than it has" if peak > profile["memory_gb"] * GB else ""
    return f"peak {peak / GB:.2f} of {profile['memory_gb']:g} GB{over}"


def _power(profile: dict[str, Any], results: Sequence[EvaluationResult]) -> str:
    """Mean power of the batches beside what the device may take, where both are known."""
    limit = profile.get("power_limit_w")
    costs = [result.cost() for result in results]
    joules = [cost.energy_j for cost in costs if cost.energy_j is not None]
    seconds = sum(batch["timing"]["seconds"] or 0.0 for result in results for batch in result.batches)
    if limit is None or len(joules) < len(costs) or not seconds:
        return ""
    watts = sum(joules) / seconds
    return f", {watts:.1f} of {limit:g} W{' - MORE than it may take' if watts > limit else ''}"


def _latency(evaluated: EvaluationResult) -> str:
    found = evaluated.header["single_request"]
    if found["p50_s"] is None:
        return f"one request at a time was not timed: {found['reason']}"
    return f"one request at a time {found['p50_s']:.3g} s (p50), {found['p90_s']:.3g} s (p90), of {found['n']}"
