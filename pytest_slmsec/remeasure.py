"""The peak of memory a second time: one run cannot show that it repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_slmsec.cases import Case
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.base import Engine
from pytest_slmsec.meters.session import Meters
from pytest_slmsec.reports.groups import Group, Groups

PEAKS = ("peak_gpu_bytes", "peak_rss_bytes")


def heaviest(groups: Groups, model: str) -> Group | None:
    """The group of a model in which its peak was measured; None where none was."""
    found = [(peak, group) for group in groups if group.model == model and group.batches
             and (peak := group.cost().peak_bytes) is not None]  # fmt: skip
    return max(found, key=lambda one: one[0])[1] if found else None


def measure_again(
    model: ModelSpec, groups: Groups, cases: Sequence[Case], make_engine: Callable[[ModelSpec], Engine], window: int
) -> None:
    """Run the heaviest benchmark of a model once more, and keep its peaks with the group.

    Args:
        cases: everything selected, in order of execution. make_engine: loads a model, alone. window: as in the run.

    Raises:
        ModelError: the model cannot be loaded again. EngineError, RuntimeError: a batch failed.
    """
    group = heaviest(groups, model.name)
    if group is None:
        return
    mine = [case for case in cases if case.group.model == model and case.group.label == group.label
            and case.row in group.rows]  # fmt: skip
    group.peaks_again = peaks(model, mine, make_engine, window)


def peaks(
    model: ModelSpec, cases: Sequence[Case], make_engine: Callable[[ModelSpec], Engine], window: int
) -> dict[str, int]:
    """Highest readings over all batches of `cases`, in bytes, by name of the reading."""
    found: dict[str, int] = {}
    meters, engine = Meters.start(), make_engine(model)
    try:
        for start in range(0, len(cases), window):
            requests = [case.group.request(case.item) for case in cases[start : start + window]]
            for indices in engine.plan(requests):
                before = meters.begin()
                engine.run([requests[index] for index in indices])
                use = meters.end(before)
                found |= {key: max(use[key], found.get(key, 0)) for key in PEAKS if use.get(key) is not None}
    finally:
        meters.stop()
        engine.close()
    return found
