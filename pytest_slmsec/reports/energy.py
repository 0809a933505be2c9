"""What a run says about energy: joules an item and a correct answer, and an estimate where only a TDP is known."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum
from typing import Any

from pytest_slmsec.reports.evaluation_results import EvaluationResult, over_all_benchmarks

TDP = "tdp_w"
"""Key of the header: what ``--slmsec-tdp`` says, in watts."""
METHOD = (
    "{watts:g} W (--slmsec-tdp) times {seconds:.3g} s of computing: what the device can take at most, no measurement"
)


def energy_facts(evaluated: EvaluationResult, energy_j: float | None, n_correct: int) -> dict[str, Any]:
    """Energy of one result in joules: an item, a correct answer, and the estimate with its method.

    Args:
        energy_j: as measured, over all items; None: not measured. n_correct: answers that are right.
    """
    n = len(evaluated.measured())
    estimate, method = estimated(evaluated)
    return {
        "energy_per_item_j": None if energy_j is None or not n else energy_j / n,
        "energy_per_correct_j": None if energy_j is None or not n_correct else energy_j / n_correct,
        "energy_estimate_j": estimate,
        "energy_estimate_method": method,
    }


def estimated(evaluated: EvaluationResult) -> tuple[float | None, str | None]:
    """Joules by the TDP that the user gave, and how; None twice without one, or without times."""
    watts = evaluated.header.get(TDP)
    seconds = [batch["timing"]["seconds"] for batch in evaluated.batches]
    if watts is None or not seconds or None in seconds:
        return None, None
    total = fsum(seconds)
    return watts * total, METHOD.format(watts=watts, seconds=total)


def energy_notes(results: Sequence[EvaluationResult]) -> list[str]:
    """A sentence on the energy of each model over all benchmarks, where it was measured or estimated."""
    lines = []
    for model in dict.fromkeys(evaluated.model for evaluated in results):
        mine = [evaluated for evaluated in results if evaluated.model == model]
        items = sum(len(evaluated.measured()) for evaluated in mine)
        right = sum(bool(row["score"]["correct"]) for evaluated in mine for row in evaluated.measured())
        for whole in over_all_benchmarks(mine):
            text = _sentence(whole, items, right)
            lines += [] if text is None else [f"{model}: {text}."]
    return lines


def _sentence(whole: EvaluationResult, items: int, right: int) -> str | None:
    cost = whole.cost()
    if cost.energy_j is not None and items:
        idle = "" if cost.idle_power_w is None else f", {cost.idle_power_w:.3g} W when idle"
        each = f"{cost.energy_j / items:.3g} J an item"
        correct = f", {cost.energy_j / right:.3g} J a correct answer" if right else ""
        return f"{each}{correct} by the {cost.energy_source}, which counts all that runs there{idle}"
    estimate, method = estimated(whole)
    if estimate is None or not items:
        return None
    return f"at most {estimate / items:.3g} J an item, estimated: {method}"
