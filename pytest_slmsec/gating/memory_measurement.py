"""Measures the peak memory of a model again, because one run cannot show that the peak repeats."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Request
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.gates.statistics.size_threshold import MINIMUM_RUNS
from pytest_slmsec.gating.gated_run import GatedRun
from pytest_slmsec.meters.session import Meters
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults

PEAKS = ("peak_gpu_bytes", "peak_rss_bytes")


def heaviest(results: EvaluationResults, model: str) -> EvaluationResult | None:
    """The result of a model in which its peak memory was measured; None where no memory was measured."""
    mine = [result for result in results if result.model == model and result.batches]
    measured = [result for result in mine if result.cost().peak_bytes is not None]
    return max(measured, key=lambda result: result.cost().peak_bytes or 0, default=None)


def measure_again(model: ModelSpec, run: GatedRun) -> None:
    """Run the heaviest benchmark of a model again, and keep the peaks with its result (`peaks_again`).

    On a GPU it runs once more, in this process. Resident memory is that of a whole process, which never gives back
    everything it had: it is measured twice, each time in a process of its own, and only those two count.

    Raises:
        ModelError: the model cannot be loaded again, or another process failed. EngineError, RuntimeError: a batch
            failed.
    """
    result, window = heaviest(run.results, model.name), run.settings.window
    if result is None:
        return
    mine = [case for case in run.cases if case.evaluation.model == model and case.evaluation.label == result.label
            and case.row in result.rows]  # fmt: skip
    requests = [case.evaluation.request(case.item) for case in mine]
    if run.child_settings is None or result.cost().peak_gpu_bytes is not None:
        found = [peaks(run.make_engine(model), requests, window)]
    else:
        settings = replace(run.child_settings, progress=None)
        found = [in_a_process(model, settings, requests, window) for _ in range(MINIMUM_RUNS)]
    result.peaks_again = {key: [one[key] for one in found] for key in PEAKS if all(key in one for one in found)}


def in_a_process(model: ModelSpec, settings: EngineSettings, requests: Sequence[Request], window: int
                 ) -> dict[str, int]:  # fmt: skip
    """The peaks of a process of its own, in bytes, by name of the reading.

    Raises:
        ModelError: it failed; says why.
    """
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            found, why = pool.submit(_peaks_in_this_process, model, settings, requests, window).result()
        except BrokenProcessPool:
            raise ModelError(f"the process that measured {model.name} alone ended at once") from None
    if why is not None:
        raise ModelError(why)
    return found


def _peaks_in_this_process(model: ModelSpec, settings: EngineSettings, requests: Sequence[Request], window: int
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
