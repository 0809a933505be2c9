"""The peak of memory a second time: one run cannot show that it repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.gates.statistics.size_threshold import MINIMUM_RUNS
from pytest_slmsec.meters.session import Meters
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults

PEAKS = ("peak_gpu_bytes", "peak_rss_bytes")


def heaviest(groups: EvaluationResults, model: str) -> EvaluationResult | None:
    """The group of a model in which its peak was measured; None where none was."""
    found = [(peak, group) for group in groups if group.model == model and group.batches
             and (peak := group.cost().peak_bytes) is not None]  # fmt: skip
    return max(found, key=lambda one: one[0])[1] if found else None


def measure_again(
    model: ModelSpec, groups: EvaluationResults, cases: Sequence[Case], make_engine: Callable[[ModelSpec], Engine],
    window: int, alone: EngineSettings | None,
) -> None:  # fmt: skip
    """Run the heaviest benchmark of a model again, and keep its peaks with the group.

    On a GPU once, in this process. Resident memory is that of a whole process, which never gives back everything it
    had: it is measured twice, each time in a process of its own, and those two count.

    Args:
        cases: everything selected, in order of execution. make_engine: loads a model, in this process.
        window: as in the run. alone: how another process loads it; None: it cannot.

    Raises:
        ModelError: the model cannot be loaded again, or another process failed. EngineError, RuntimeError: a batch
            failed.
    """
    group = heaviest(groups, model.name)
    if group is None:
        return
    mine = [case for case in cases if case.evaluation.model == model and case.evaluation.label == group.label
            and case.row in group.rows]  # fmt: skip
    requests = [case.evaluation.request(case.item) for case in mine]
    if alone is None or group.cost().peak_gpu_bytes is not None:
        runs = [peaks(make_engine(model), requests, window)]
    else:
        runs = [in_a_process(model, replace(alone, progress=None), requests, window) for _ in range(MINIMUM_RUNS)]
    group.peaks_again = {key: [run[key] for run in runs] for key in PEAKS if all(key in run for run in runs)}


def in_a_process(model: ModelSpec, settings: EngineSettings, requests: Sequence[Request], window: int
                 ) -> dict[str, int]:  # fmt: skip
    """The peaks of a process that does nothing else.

    Raises:
        ModelError: it failed; says why.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            found, why = pool.submit(_alone, model, settings, requests, window).result()
        except BrokenProcessPool:
            raise ModelError(f"the process that measured {model.name} alone ended at once") from None
    if why is not None:
        raise ModelError(why)
    return found


def _alone(model: ModelSpec, settings: EngineSettings, requests: Sequence[Request], window: int
           ) -> tuple[dict[str, int], str | None]:  # fmt: skip
    from pytest_slmsec.quantize.load_model import make_engine

    try:
        return peaks(make_engine(model, settings), requests, window), None
    except Exception as error:
        return {}, " ".join(str(error).split()) or type(error).__name__


def peaks(engine: Engine, requests: Sequence[Request], window: int) -> dict[str, int]:
    """Highest readings over all batches of `requests`, in bytes, by name of the reading. Closes the engine."""
    found: dict[str, int] = {}
    meters = Meters.start()
    try:
        for start in range(0, len(requests), window):
            chunk = requests[start : start + window]
            for indices in engine.plan(chunk):
                before = meters.begin()
                engine.run([chunk[index] for index in indices])
                use = meters.end(before)
                found |= {key: max(use[key], found.get(key, 0)) for key in PEAKS if use.get(key) is not None}
    finally:
        meters.stop()
        engine.close()
    return found
