"""Joules an item and a correct answer, and the estimate by a TDP."""

import pytest

from pytest_slmsec.reports.energy import energy_facts, energy_notes
from pytest_slmsec.reports.evaluation_results import EvaluationResult

RAPL = "processor package (RAPL)"


def result(*joules, source=RAPL, seconds=2.0, right=(1, 0, 1, 1), **header):
    """A result of four items in one batch a reading of energy; None: not counted."""
    rows = {
        row: {"error": None, "seconds": 1.0,
              "score": {"value": float(bit), "parsed": True, "correct": bool(bit), "extracted": None, "parts": {}}}
        for row, bit in enumerate(right)
    }  # fmt: skip
    timing = {"seconds": seconds, "items": 1, "prefill_s": None, "decode_s": None, "prompt_tokens": 1,
              "new_tokens": 0, "time_to_first_token_s": None}  # fmt: skip
    batches = [
        {"timing": timing, "notes": [],
         "meters": {"energy_j": one, "energy_source": None if one is None else source, "idle_power_w": 4.0,
                    "reasons": {} if one is not None else {"energy_j": "no counter"}}}
        for one in joules
    ]  # fmt: skip
    return EvaluationResult("cti-mcq", "tinysec", None, {"n_expected": len(right), **header}, rows, batches)


def facts(found):
    return energy_facts(found, found.cost().energy_j, 3)


def test_energy_is_told_by_item_and_by_correct_answer():
    found = result(5.0, 7.0)
    assert facts(found) == {
        "energy_per_item_j": 3.0, "energy_per_correct_j": 4.0, "energy_estimate_j": None,
        "energy_estimate_method": None,
    }  # fmt: skip
    assert energy_notes([found]) == [
        f"tinysec: 3 J an item, 4 J a correct answer by the {RAPL}, which counts all that runs there, 4 W when idle."
    ]


@pytest.mark.parametrize(("joules", "reason"), [
    ((5.0, None), "no counter"),
    ((0.0, 0.0), f"the counter of the {RAPL} did not move: the run was too short for its steps"),
])  # fmt: skip
def test_energy_that_was_not_counted_in_every_batch_is_unknown_and_says_why(joules, reason):
    cost = result(*joules).cost()
    assert cost.energy_j is None
    assert cost.reasons["energy_j"] == reason
    assert energy_notes([result(*joules)]) == []


def test_a_tdp_fills_the_estimate_and_nothing_else():
    found = result(None, tdp_w=15.0)
    told = facts(found)
    assert (told["energy_per_item_j"], told["energy_estimate_j"]) == (None, 30.0)
    assert told["energy_estimate_method"] == (
        "15 W (--slmsec-tdp) times 2 s of computing: what the device can take at most, no measurement"
    )
    assert found.cost().energy_j is None
    (line,) = energy_notes([found])
    assert line.startswith("tinysec: at most 7.5 J an item, estimated: 15 W (--slmsec-tdp) times 2 s")


def test_without_times_there_is_no_estimate():
    assert facts(result(None, seconds=None, tdp_w=15.0))["energy_estimate_j"] is None
