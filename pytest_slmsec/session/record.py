"""What a run found, as plain data: for the file of pytest-benchmark, and for the hook `pytest_slmsec_finished`."""

from __future__ import annotations

from typing import Any

from pytest_slmsec.reports.benchmark_json import answers, extra_info
from pytest_slmsec.reports.payload import plain
from pytest_slmsec.session.state import SessionState


def section(state: SessionState) -> dict[str, Any]:
    """The key ``slmsec`` of the file: every item's answer and score, and what the gate keeps for later runs."""
    found, gating = answers(list(state.results)), state.gating
    if gating is None:
        return found
    if gating.accepted is not None:
        found["accepted"] = gating.accepted
    if gating.distances is not None:
        kept = {"fidelity": gating.distances.records, "distributions": gating.distances.tops}
        found |= {key: value for key, value in kept.items() if value}
    return found


def record(state: SessionState, exit_status: int) -> dict[str, Any]:
    """A copy of all that the run found, in JSON types; see `hookspec.pytest_slmsec_finished` for its keys."""
    whole = [(evaluated, evaluated.result()) for evaluated in state.results if evaluated.complete]
    facts = [{"benchmark": evaluated.label, "model": evaluated.model, **extra_info(evaluated, result)}
             for evaluated, result in whole if result is not None]  # fmt: skip
    judgements = [] if state.gating is None else [judgement.to_json() for judgement in state.gating.judgements]
    return plain({
        "exit_status": exit_status, "slmsec": section(state), "facts": facts, "judgements": judgements,
    })  # fmt: skip
