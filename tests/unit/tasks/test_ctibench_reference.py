"""Published numbers, from the recorded responses: they need the published files (variable SLMSEC_DATA)."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from pytest_slmsec.core.items import Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.ctibench import TASKS
from pytest_slmsec.tasks.tsv import read_tsv

DATA = os.environ.get("SLMSEC_DATA", "")
pytestmark = pytest.mark.skipif(not Path(DATA, "cti-bench").is_dir(), reason="SLMSEC_DATA names no published files")
BY_NAME = {task.name: task for task in TASKS}

# Unrounded: right of valid answers; for VSP the mean deviation; for TAA correct and plausible.
OFFICIAL: dict[str, dict] = {
    "cti-mcq": {"ChatGPT-4": 1775 / 2500, "ChatGPT-3.5": 1353 / 2500, "Gemini-1.5": 1636 / 2500,
                "LLAMA3-70B": 1644 / 2500, "LLAMA3-8B": 1533 / 2500},
    "cti-rcm": {"ChatGPT-4": 0.72, "ChatGPT-3.5": 0.672, "Gemini-1.5": 615 / 923, "LLAMA3-70B": 0.659,
                "LLAMA3-8B": 0.447},
    "cti-rcm-2021": {"ChatGPT-4": 0.68, "ChatGPT-3.5": 0.627, "Gemini-1.5": 647 / 995, "LLAMA3-70B": 607 / 999,
                     "LLAMA3-8B": 0.483},
    "cti-vsp": {"ChatGPT-4": 1.3100000000000027, "ChatGPT-3.5": 1.5743000000000003, "Gemini-1.5": 1.091100000000003,
                "LLAMA3-70B": 1.8292000000000017, "LLAMA3-8B": 1.9076000000000044},
    "cti-taa": {"ChatGPT-4": (0.52, 0.86), "ChatGPT-3.5": (0.44, 0.62), "Gemini-1.5": (0.38, 0.74),
                "LLAMA3-70B": (0.52, 0.80), "LLAMA3-8B": (0.28, 0.36)},
}  # fmt: skip
STRICT = {
    ("cti-rcm", "Gemini-1.5"): 0.615,
    ("cti-rcm-2021", "Gemini-1.5"): 0.647,
    ("cti-rcm-2021", "LLAMA3-70B"): 0.607,
    ("cti-taa", "ChatGPT-4"): (0.52, 0.84),
    ("cti-taa", "ChatGPT-3.5"): (0.44, 0.62),
    ("cti-taa", "Gemini-1.5"): (0.38, 0.72),
    ("cti-taa", "LLAMA3-70B"): (0.52, 0.78),
    ("cti-taa", "LLAMA3-8B"): (0.28, 0.36),
}
# Right before and after quantisation, lost and gained, unparsed before and after.
RECORDED = {
    ("cti-mcq", "tinyllama"): (26, 13, 26, 13, 1, 3),
    ("cti-mcq", "phi3"): (63, 60, 12, 9, 0, 0),
    ("cti-rcm", "tinyllama"): (17, 13, 10, 6, 34, 41),
    ("cti-rcm", "phi3"): (37, 15, 26, 4, 0, 1),
    ("cti-vsp", "tinyllama"): (17, 9, 10, 2, 18, 62),
    ("cti-vsp", "phi3"): (9, 0, 9, 0, 0, 36),
}


@cache
def items(task):
    return BY_NAME[task].load(Path(DATA))


@cache
def responses(task):
    return read_tsv(Path(DATA, f"cti-bench/evaluation/responses/{task}-responses.tsv"), ("GT",))


def result(task, model, mode):
    pairs = zip(items(task), responses(task), strict=True)
    scores = [BY_NAME[task].scorer(item, Output(text=row[model]), mode) for item, row in pairs]
    return BY_NAME[task].metric.aggregate(scores, mode)


def check(found, expected):
    value, plausible = expected if isinstance(expected, tuple) else (expected, None)
    assert found.value == pytest.approx(value, abs=1e-9)
    assert found.low < value < found.high
    if plausible is not None:
        assert found.extras["plausible"] == pytest.approx(plausible, abs=1e-9)


@pytest.mark.parametrize(("task", "model"), [(task, model) for task, cells in OFFICIAL.items() for model in cells])
def test_the_25_published_cells(task, model):
    check(result(task, model, Mode.OFFICIAL), OFFICIAL[task][model])


@pytest.mark.parametrize(("task", "model"), STRICT)
def test_strict_cells(task, model):
    check(result(task, model, Mode.STRICT), STRICT[task, model])


@pytest.mark.parametrize(
    ("task", "answer", "score"),
    [
        ("cti-mcq", "C", 0.3712),
        ("cti-mcq-choice", "C", 0.3712),
        ("cti-rcm", "CWE-79", 0.229),
        ("cti-rcm-2021", "CWE-79", 0.22),
        ("cti-vsp", "7.5", 1.5381),
    ],
)
def test_constant_baselines(task, answer, score):
    assert BY_NAME[task].constant(items(task), Mode.STRICT)[:2] == (answer, pytest.approx(score, abs=1e-9))


@pytest.mark.parametrize("task", BY_NAME)
def test_all_published_rows_load_and_follow_the_recorded_golds(task):
    assert len(items(task)) == BY_NAME[task].n_items
    assert len({item.id for item in items(task)}) == BY_NAME[task].n_items
    if task in OFFICIAL:
        recorded = [row["GT"].strip() for row in responses(task)]
        assert [item.gold.casefold() for item in items(task)] == [gold.casefold() for gold in recorded]


def test_the_oddities_of_the_published_files():
    questions = items("cti-mcq")
    empty = [(item.id, "ABCD"[item.meta["options"].index("")]) for item in questions if "" in item.meta["options"]]
    assert empty == [
        ("cti-mcq-00057", "D"), ("cti-mcq-01031", "D"), ("cti-mcq-01310", "D"), ("cti-mcq-01408", "D"),
        ("cti-mcq-02236", "C"),
    ]  # fmt: skip
    cells = [row["GT"] for row in read_tsv(Path(DATA, "cti-bench/data/cti-mcq.tsv"), ("GT",))]
    assert [number for number, cell in enumerate(cells, 1) if cell.islower()] == [109]
    assert questions[108].gold == "B"
    assert "  **Options:** " in questions[0].prompt
    for task, repeated in (("cti-rcm", 12), ("cti-rcm-2021", 43), ("cti-vsp", 12)):
        prompts = [item.prompt for item in items(task)]
        assert len(prompts) - len(set(prompts)) == repeated
    assert max(len(item.prompt) for item in items("cti-taa")) > 28_000


@pytest.mark.parametrize(("task", "model"), RECORDED)
def test_recorded_runs_before_and_after_quantisation(task, model):
    runs = []
    for run in ("bare", "gptq4"):
        outputs = json.loads(Path(DATA, f"recorded-runs/{model}/{run}/{task}.outputs.json").read_text())
        assert [output["item_id"] for output in outputs] == [f"index_{n}" for n in range(100)]
        pairs = zip(items(task)[:100], outputs, strict=True)
        scorer = BY_NAME[task].scorer
        runs.append([scorer(item, Output(text=output["response"]), Mode.STRICT) for item, output in pairs])
    before, after = runs
    lost = sum(one.correct and not two.correct for one, two in zip(before, after, strict=True))
    gained = sum(two.correct and not one.correct for one, two in zip(before, after, strict=True))
    right = [sum(score.correct for score in run) for run in runs]
    unparsed = [sum(not score.parsed for score in run) for run in runs]
    assert (*right, lost, gained, *unparsed) == RECORDED[task, model]
