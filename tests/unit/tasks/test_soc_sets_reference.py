"""Counts and constants of the published sets: they need the published files (variable SLMSEC_DATA)."""

import os
from functools import cache
from pathlib import Path

import pytest

from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks import cybersoc, soc_bench
from pytest_slmsec.tasks.registry import find_task

DATA = os.environ.get("SLMSEC_DATA", "")
pytestmark = pytest.mark.skipif(not Path(DATA, "cybersoceval").is_dir(), reason="SLMSEC_DATA names no published files")
FILES = {"cybersoc-malware": cybersoc.MALWARE, "cybersoc-threat": cybersoc.THREAT}


@cache
def questions(task):
    """Without the reports, which are files apart."""
    return cybersoc.questions(task, FILES[task], None, Path(DATA, "cybersoceval"))


@cache
def items(task):
    return find_task(task).load(Path(DATA))


@pytest.mark.parametrize(
    ("task", "n", "exact", "overlap", "letters", "without"),
    [
        ("cybersoc-malware", 609, 11.0, 36.8, "A,B,C,D,E", "cybersoc-malware-00425"),
        ("cybersoc-threat", 588, 22.4, 41.2, "A", "cybersoc-threat-00361"),
    ],
)
def test_cybersoceval(task, n, exact, overlap, letters, without):
    found = questions(task)
    assert len(found) == find_task(task).n_items == n
    assert round(100 * cybersoc.best_exact_set(found, Mode.OFFICIAL).value, 1) == exact
    best, mean = cybersoc.best_overlap(found)
    assert (best, round(100 * mean, 1)) == (letters, overlap)
    assert [item.id for item in found if cybersoc.NO_RIGHT_OPTION in item.meta] == [without]
    assert not {item.prompt for item in found} & {item.prompt for item in find_task(task).load(fixtures_dir() / "data")}


def test_soc_bench():
    found = items("soc-bench")
    assert len(found) == soc_bench.TASKS[0].n_items == 50
    assert soc_bench.TASKS[0].constant(found, Mode.STRICT)[:2] == ("SQL INJECTION", 0.16)
    assert {item.meta["severity"] for item in found} == {"CRITICAL", "HIGH", "MEDIUM", "LOW"}


def test_one_word_finds_all_anomalies_of_bgl():
    """All 143 come from templates that no normal line shares."""
    task, found = find_task("log-anomaly"), items("log-anomaly")
    says = ["abnormal" if " FATAL " in item.prompt else "normal" for item in found]
    scores = [task.scorer(item, Output(text=word), Mode.STRICT) for item, word in zip(found, says, strict=True)]
    extras = task.metric.aggregate(scores, Mode.STRICT).extras
    assert (len(found), extras["recall:abnormal"], round(100 * extras["F1"], 1)) == (2000, 1.0, 58.4)
    clusters = {gold: {item.meta["cluster"] for item in found if item.gold == gold} for gold in ("abnormal", "normal")}
    assert len(clusters["abnormal"]) == 15
    assert not clusters["abnormal"] & clusters["normal"]


def test_always_normal_is_accurate_and_not_balanced():
    task, found = find_task("log-anomaly"), items("log-anomaly")
    scores = [task.scorer(item, Output(text="Normal."), Mode.STRICT) for item in found]
    result = task.metric.aggregate(scores, Mode.STRICT)
    assert (result.value, result.extras["balanced_accuracy"], result.extras["F1"]) == (1857 / 2000, 0.5, 0.0)


def test_templates_of_three_files():
    task, found = find_task("log-parsing"), items("log-parsing")
    assert len(found) == 6000
    scores = [task.scorer(item, Output(text=item.gold), Mode.STRICT) for item in found]
    result = task.metric.aggregate(scores, Mode.STRICT)
    assert (result.value, result.extras) == (1.0, {"edit_similarity": 1.0, "grouping_accuracy": 1.0})


def test_the_level_of_linux_is_its_host():
    prompts = [item.prompt for item in items("log-parsing") if item.meta["category"] == "Linux_2k"]
    levels = [
        line.split(",")[4]
        for line in Path(DATA, "loghub/Linux/Linux_2k.log_structured.csv").read_text().splitlines()[1:]
    ]
    assert len(prompts) == len(levels) == 2000
    assert set(levels) == {"combo"}
