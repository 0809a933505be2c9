"""Published numbers of SEvenLLM, from a recorded run: they need the published files (variable SLMSEC_DATA)."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from pytest_slmsec.core.items import Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.sevenllm import PUBLISHED_IDS, TASKS

DATA = os.environ.get("SLMSEC_DATA", "")
pytestmark = pytest.mark.skipif(not Path(DATA, "sevenllm").is_dir(), reason="SLMSEC_DATA names no published files")
BY_NAME = {task.name: task for task in TASKS}

# Version 2, unrounded; for multiple choice the right ones of 50 and the parsed ones.
VERSION_2 = {
    "sevenllm-gen-en": 0.3774993914728842,
    "sevenllm-gen-zh": 0.36908796774883196,
    "sevenllm-extract-en": 0.30793736565437263,
    "sevenllm-extract-zh": 0.3948275198273646,
}
VERSION_1 = {
    "sevenllm-gen-en": 71.92354823538982,
    "sevenllm-gen-zh": 89.5865079365074,
    "sevenllm-extract-en": 78.68223158391763,
    "sevenllm-extract-zh": 84.50262749569016,
}
CHOICE = {"sevenllm-mcq-en": (46, 49), "sevenllm-mcq-zh": (49, 50)}


@cache
def items(task):
    return BY_NAME[task].load(Path(DATA))


@cache
def recorded():
    """Outputs by published id; structures stand in the file as such, and a model wrote them as text."""
    path = Path(DATA, "sevenllm/recorded/test-result-llama2-7b.jsonl")
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {row["id"]: row["output"] for row in rows}


def text_of(task, output):
    if isinstance(output, str):
        return output
    return json.dumps(output) if "extract" in task else str(output)  # upstream's scorer takes str() of a dict


def result(task, mode):
    outputs = [Output(text_of(task, recorded()[item.meta["id"]])) for item in items(task)]
    scores = [BY_NAME[task].scorer(item, output, mode) for item, output in zip(items(task), outputs, strict=True)]
    return BY_NAME[task].metric.aggregate(scores, mode)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("task", VERSION_2)
def test_both_versions_from_one_answer(task, mode):
    found = result(task, mode)
    assert found.value == pytest.approx(VERSION_2[task], abs=1e-9)
    assert 100 * found.extras["hit_rate_v1"] == pytest.approx(VERSION_1[task], abs=1e-9)
    assert found.low < found.value < found.high
    assert (found.n, found.valid, found.extras["similarity"]) == (300, 300, None)


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("task", CHOICE)
def test_choices(task, mode):
    found = result(task, mode)
    assert (round(50 * found.value), found.n, found.valid) == (CHOICE[task][0], 50, CHOICE[task][1])


@pytest.mark.parametrize("task", BY_NAME)
def test_every_published_row_becomes_an_item(task):
    found = items(task)
    assert len(found) == BY_NAME[task].n_items
    part = f"{task.rpartition('-')[2]}-{ {'mcq': 'choice', 'gen': 'gen', 'extract': 'ex'}[task.split('-')[1]] }"
    assert [item.meta["id"] for item in found] == list(PUBLISHED_IDS[part])
    assert all(item.meta["cluster"] and item.raw and item.system is None for item in found)
    assert len({item.prompt for item in found}) == len(found)


def test_the_hub_form_gives_the_same_items():
    rows = [json.loads(line) for line in Path(DATA, "sevenllm/test_all.jsonl").read_text("utf-8").splitlines()]
    for row in rows:
        row["instruction"] = str(row["instruction"])
        if isinstance(row["output"], (dict, list)):
            row["output"] = json.dumps(row["output"])
    for name, task in BY_NAME.items():
        assert [(i.id, i.prompt, i.gold) for i in task.from_rows(rows)] == [
            (i.id, i.prompt, i.gold) for i in items(name)
        ]


@pytest.mark.parametrize(
    ("task", "answer", "value"),
    [
        ("sevenllm-mcq-en", "B", 0.4),
        ("sevenllm-mcq-zh", "C", 0.4),
        ("sevenllm-extract-en", "Microsoft", 0.0085194679),
        ("sevenllm-extract-zh", "勒索软件攻击", 0.0055555556),
    ],
)
def test_constant_baselines(task, answer, value):
    assert BY_NAME[task].constant(items(task), Mode.STRICT)[:2] == (answer, pytest.approx(value, abs=1e-9))


def test_mere_vocabulary_reaches_some_rouge():
    """What a text that says nothing in particular scores: the floor beside which ROUGE-L is to be read."""
    floors = {
        name: BY_NAME[name].constant(items(name), Mode.STRICT)[1] for name in ("sevenllm-gen-en", "sevenllm-gen-zh")
    }
    assert all(0.10 < floor < 0.20 for floor in floors.values()), floors
