"""Counts and oddities of the published sets: they need the published files (variable SLMSEC_DATA)."""

import json
import os
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.letter_set import gold_letters
from pytest_slmsec.tasks.mmlu_style import MMLU_COLUMNS
from pytest_slmsec.tasks.records import read_csv
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.tsv import find_file

DATA = os.environ.get("SLMSEC_DATA", "")
NAMES = ("mmlu-computer-security", "seceval", "secbench-mcq", "opseval-wired-network", "opseval-oracle", "opseval-5g")
pytestmark = pytest.mark.skipif(not Path(DATA, "seceval").is_dir(), reason="SLMSEC_DATA names no published files")


@cache
def items(task):
    return find_task(task).load(Path(DATA))


@pytest.mark.parametrize(
    ("task", "n", "several", "answer", "right"),
    [
        ("mmlu-computer-security", 100, 0, "C", 30),
        ("seceval", 2189, 925, "B", 527),
        ("secbench-mcq", 2730, 27, "B", 815),
        ("opseval-wired-network", 1558, 296, "C", 358),
        ("opseval-oracle", 390, 206, "C", 52),
        ("opseval-5g", 343, 0, "B", 120),
    ],
)
def test_counts_and_constant_baselines(task, n, several, answer, right):
    found = items(task)
    assert len(found) == len({item.id for item in found}) == find_task(task).n_items == n
    assert sum(len(gold_letters(item.gold)) > 1 for item in found) == several
    scorable = sum(bool(gold_letters(item.gold)) for item in found)
    assert find_task(task).constant(found, Mode.STRICT)[:2] == (answer, pytest.approx(right / scorable))


def test_mmlu_has_five_examples_and_eleven_validation_questions():
    assert items("mmlu-computer-security")[0].prompt.count("\nAnswer:") == 6
    path = find_file(Path(DATA), "mmlu_computer_security/computer_security_val.csv", "mmlu")
    assert len(read_csv(path, MMLU_COLUMNS, header=False)) == 11


def test_seceval_has_seven_items_without_an_answer_and_two_with_a_letter_twice():
    golds = Counter(item.gold for item in items("seceval"))
    assert (golds[""], golds["AA"]) == (7, 2)
    assert sum(len(item.gold) > 1 for item in items("seceval")) == 927
    topics = Counter(topic for item in items("seceval") for topic in item.meta["shares"])
    assert topics["SystemSecurity"] == 1065
    assert topics["Cryptography"] == 14


def test_seceval_strict_scoring_leaves_out_seven_and_official_scoring_keeps_them():
    task = find_task("seceval")
    for mode, n, right in ((Mode.STRICT, 2182, 527), (Mode.OFFICIAL, 2189, 527)):
        scores = [task.scorer(item, Output(text="Answer: B"), mode) for item in items("seceval")]
        result = task.metric.aggregate(scores, mode)
        assert (result.n, result.value) == (n, pytest.approx(right / n))
        assert result.extras.get("unscored") == (7 if mode is Mode.STRICT else None)


def test_a_model_that_knows_every_answer_has_100_percent_in_strict_mode():
    for name in NAMES[1:]:
        task = find_task(name)
        texts = [", ".join(sorted(gold_letters(item.gold))) for item in items(name)]
        scores = [
            task.scorer(item, Output(text=text), Mode.STRICT) for item, text in zip(items(name), texts, strict=True)
        ]
        assert task.metric.aggregate(scores, Mode.STRICT).value == 1.0


def test_official_scoring_never_meets_the_defective_answers():
    missed = {}
    for name in ("seceval", "opseval-wired-network", "opseval-oracle", "opseval-5g"):
        task = find_task(name)
        texts = [", ".join(sorted(gold_letters(item.gold))) for item in items(name)]
        pairs = zip(items(name), texts, strict=True)
        missed[name] = sum(not task.scorer(item, Output(text=text), Mode.OFFICIAL).correct for item, text in pairs)
    assert missed == {"seceval": 2, "opseval-wired-network": 0, "opseval-oracle": 1, "opseval-5g": 4}


def test_languages():
    shares = {name: Counter(item.meta["shares"][0] for item in items(name)) for name in NAMES[2:]}
    assert shares == {
        "secbench-mcq": {"Chinese": 2069, "English": 661},
        "opseval-wired-network": {"English": 779, "Chinese": 779},
        "opseval-oracle": {"English": 192, "Chinese": 198},
        "opseval-5g": {"Chinese": 343},
    }


def test_secbench_has_seven_questions_with_five_options():
    assert sum("\nE. " in item.prompt for item in items("secbench-mcq")) == 7
    assert [item.id for item in items("secbench-mcq") if item.gold == "E"] == ["secbench-mcq-00679"]


def test_opseval_5g_has_statements_without_options():
    path = find_file(Path(DATA), "opseval/data/test/5G Communication.json", "opseval-5g")
    rows = json.loads(path.read_text("utf-8"))
    assert sum(not row["choices"] for row in rows) == 14
    bare = [item for item, row in zip(items("opseval-5g"), rows, strict=True) if not row["choices"]]
    assert all("\nA: 正确\nB: 错误\n" in item.prompt for item in bare)
    assert {item.gold for item in bare} == {"A", "B"}


@pytest.mark.parametrize("task", NAMES)
def test_our_own_items_are_not_the_published_ones(task):
    published = {item.prompt for item in items(task)}
    assert not published & {item.prompt for item in find_task(task).load(fixtures_dir() / "data")}
