"""Complete results of this run as runs of a comparison, through the same plain data that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun, run_from_plain
from pytest_slmsec.reports.benchmark_json import columns, extra_info
from pytest_slmsec.reports.evaluation_results import EvaluationResult

HERE = "this run"


def live_run(evaluated: EvaluationResult, machine: Mapping[str, Any], where: str = HERE) -> BenchmarkRun:
    """The run of a complete result.

    Args:
        where: it comes from, for messages.

    Raises:
        CompareError: nothing was measured, or see `run_from_plain`.
    """
    result = evaluated.result()
    if result is None:
        raise CompareError(
            f"{where}: {evaluated.label} on {evaluated.model} has no items: there is nothing to compare."
        )
    return run_from_plain(extra_info(evaluated, result), columns(evaluated), machine, where)
