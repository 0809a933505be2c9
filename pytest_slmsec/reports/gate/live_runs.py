"""Complete groups of this run as arms of a comparison, through the same plain data that is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.benchmark_run import Arm, arm_from_plain
from pytest_slmsec.reports.benchmark_json import columns, extra_info
from pytest_slmsec.reports.groups import Group

HERE = "this run"


def live_arm(group: Group, machine: Mapping[str, Any], where: str = HERE) -> Arm:
    """The arm of a complete group.

    Args:
        where: it comes from, for messages.

    Raises:
        CompareError: nothing was measured, or see `arm_from_plain`.
    """
    result = group.result()
    if result is None:
        raise CompareError(f"{where}: {group.label} on {group.model} has no items: there is nothing to compare.")
    return arm_from_plain(extra_info(group, result), columns(group), machine, where)
