"""Published numbers of AthenaBench mini, from the recorded answers: they need the published files (SLMSEC_DATA)."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.replay.athena import read
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.athenabench import TASKS

DATA = os.environ.get("SLMSEC_DATA", "")
RUNS = Path(DATA, "athenabench", "runs-mini")
pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason="SLMSEC_DATA names no published files")
BY_NAME = {task.name.removeprefix("athena-"): task for task in TASKS}
FILES = {"mcq": "MCQ3k", "ate": "ATE", "rcm": "RCM", "rms": "RMS", "vsp": "VSP", "taa": "TAA"}
LLAMA, QWEN = "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen3-4B-Instruct-2507"

# The published table in percent, with its one decimal.
PUBLISHED = {
    (LLAMA, "mcq"): 74.0, (LLAMA, "ate"): 16.0, (LLAMA, "rcm"): 41.0, (LLAMA, "rms"): 5.4, (LLAMA, "vsp"): 74.1,
    (QWEN, "mcq"): 76.3, (QWEN, "ate"): 8.0, (QWEN, "rcm"): 43.5, (QWEN, "rms"): 5.8, (QWEN, "vsp"): 78.2,
}  # fmt: skip


@cache
def items(kind):
    return BY_NAME[kind].load(Path(DATA))


@cache
def lines(model, kind):
    path = RUNS / model / f"{FILES[kind]}-scored.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def scores(model, kind, mode):
    by_prompt = {item.prompt: item for item in items(kind)}
    return [
        BY_NAME[kind].scorer(by_prompt[line["prompt"]], Output(text=line["response"]), mode)
        for line in lines(model, kind)
    ]


def value(model, kind, mode):
    return BY_NAME[kind].metric.aggregate(scores(model, kind, mode), mode).value


@pytest.mark.parametrize(("model", "kind"), PUBLISHED)
def test_published_cells_from_the_raw_texts(model, kind):
    assert round(100 * value(model, kind, Mode.OFFICIAL), 1) == PUBLISHED[model, kind]


@pytest.mark.parametrize("model", [LLAMA, QWEN])
@pytest.mark.parametrize("kind", ["mcq", "ate", "rcm", "rms"])
def test_every_recorded_prediction_is_read_as_the_authors_read_it(model, kind):
    for line, score in zip(lines(model, kind), scores(model, kind, Mode.OFFICIAL), strict=True):
        said = set(line["prediction"].split(", ")) - {"X"}
        assert set((score.extracted or "").split(", ")) - {""} == said
        assert score.value == pytest.approx(line["score"])


@pytest.mark.parametrize("model", [LLAMA, QWEN])
def test_every_recorded_vector_is_read_as_the_authors_read_it(model):
    for line, score in zip(lines(model, "vsp"), scores(model, "vsp", Mode.OFFICIAL), strict=True):
        assert score.parsed == line["success"]
        if score.parsed:
            assert score.extracted == line["prediction"]
            assert score.value == pytest.approx(1 - line["score"] / 7.7)


@pytest.mark.parametrize(("model", "agreeing"), [(LLAMA, 49), (QWEN, 50)])
def test_attribution_by_the_graph_of_ctibench_agrees_with_the_recorded_flags(model, agreeing):
    pairs = zip(lines(model, "taa"), scores(model, "taa", Mode.OFFICIAL), strict=True)
    assert sum(line["score"]["correct"] == score.correct for line, score in pairs) == agreeing


def test_vectors_that_are_not_read_count_as_the_worst_in_strict_mode_only():
    found = scores(QWEN, "vsp", Mode.OFFICIAL)
    assert (sum(score.parsed for score in found), len(found)) == (110, 200)
    assert round(100 * value(QWEN, "vsp", Mode.STRICT), 1) == 43.0


@pytest.mark.parametrize(
    ("kind", "answer", "percent"),
    [("mcq", "B", 39.0), ("rms", None, 22.2), ("vsp", "6.1", 84.4)],
)
def test_best_constant_answers(kind, answer, percent):
    best = BY_NAME[kind].constant(items(kind), Mode.STRICT)
    assert round(100 * best.value, 1) == percent
    assert answer in (None, best.answer)


@pytest.mark.parametrize("kind", FILES)
def test_all_published_items_load_and_are_not_ours(kind):
    published = {item.prompt for item in items(kind)}
    assert len(items(kind)) == len(published) == BY_NAME[kind].n_items
    assert not published & {item.prompt for item in BY_NAME[kind].load(fixtures_dir() / "data")}


@pytest.mark.parametrize("model", [LLAMA, QWEN])
def test_a_folder_of_runs_is_read_for_replay(model):
    for kind, name in FILES.items():
        (recording,) = read(RUNS / model / f"{name}-scored.jsonl")
        assert (recording.benchmark, recording.model) == (f"athena-{kind}", model.partition("/")[2])
        assert len(recording.answers) == BY_NAME[kind].n_items
