"""The peak of memory a second time, on a real tiny model."""

from dataclasses import replace

import pytest
import tinymodel

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import Generate, Message
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.settings import EngineSettings
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.size_threshold import RESIDENT, memory_gate
from pytest_slmsec.gating.memory_measurement import heaviest, in_a_process, peaks
from pytest_slmsec.quantize.load_model import make_engine
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults

REQUESTS = [Generate(f"q{n}", (Message("user", f"Which port is number {n}?"),), 8) for n in range(6)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> tuple[ModelSpec, EngineSettings]:
    folder = tinymodel.build_tiny_llama(tmp_path_factory.mktemp("models") / "tiny")
    settings = EngineSettings(device="cpu", cache_dir=tmp_path_factory.mktemp("cache"), offline=True)
    return ModelSpec("tiny", "tiny", source="path", location=str(folder)), settings


def test_the_peaks_of_a_process_that_does_nothing_else_repeat(tiny: tuple[ModelSpec, EngineSettings]):
    runs = [in_a_process(*tiny, REQUESTS, 4)["peak_rss_bytes"] for _ in range(2)]
    assert memory_gate(runs, runs, RESIDENT).verdict is Verdict.PASS


def test_what_fails_in_another_process_says_why(tiny):
    spec, settings = tiny
    with pytest.raises(ModelError, match="nowhere"):
        in_a_process(replace(spec, location="/nowhere"), settings, REQUESTS, 4)


def test_peaks_in_this_process_are_those_of_the_heaviest_batch(tiny):
    spec, settings = tiny
    found = peaks(make_engine(spec, settings), REQUESTS, 4)
    assert found["peak_rss_bytes"] > 100 * 2**20
    assert "peak_gpu_bytes" not in found


def reading(peak):
    timing = {"items": 1, "prompt_tokens": 1, "new_tokens": 1, "prefill_s": 1.0, "decode_s": 1.0, "seconds": 1.0,
              "time_to_first_token_s": 1.0}  # fmt: skip
    return {"timing": timing, "meters": {"peak_rss_bytes": peak}, "notes": []}


def test_the_benchmark_in_which_the_peak_was_measured_runs_again():
    groups = EvaluationResults()
    for label, peak in (("ports", 5), ("hashes", 7), ("addresses", 6)):
        groups.by_key[label, "tiny"] = EvaluationResult(label, "tiny", batches=[reading(peak)])
    assert heaviest(groups, "tiny").label == "hashes"
    assert heaviest(groups, "another") is None
