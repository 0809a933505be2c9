"""AthenaBench mini over small files, and over our own items."""

import json

import pytest

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.athenabench import TASKS

KINDS = ("mcq", "ate", "rcm", "rms", "vsp", "taa")
BY_KIND = {task.name.removeprefix("athena-"): task for task in TASKS}
ROW = {"prompt": "Which?", "answer": "T1059.001", "technique_id": "T1059.001"}


def own(kind):
    return BY_KIND[kind].load(fixtures_dir() / "data")


def load_ate(folder, *rows):
    (folder / "athena-cti-ate.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return BY_KIND["ate"].load(folder)


def test_the_name_of_a_later_release_is_read_too(tmp_path):
    row = {"prompt": "Which?", "answer": "B", "source_type": "ATT&CK"}
    (tmp_path / "athena-cti-ckt-3k.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    (item,) = BY_KIND["mcq"].load(tmp_path)
    assert item.gold == "B"
    (tmp_path / "athena-cti-ckt-3k.jsonl").unlink()
    with pytest.raises(DataUnavailable, match="athena-cti-mcq-3k"):
        BY_KIND["mcq"].load(tmp_path)


def test_an_item_is_the_published_prompt_and_its_category(tmp_path):
    (item,) = load_ate(tmp_path, ROW)
    assert (item.id, item.prompt, item.gold) == ("athena-ate-00001", "Which?", "T1059.001")
    assert item.meta["category"] == "T1059"
    assert (item.system, item.shots, item.origin) == (None, (), "athena-cti-ate.jsonl record 1")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "M1038"}, "'M1038' is not a technique id such as T1059 or T1059.001"),
        ({"answer": ""}, "the text is empty"),
        ({"prompt": None}, "field 'prompt': 'None' is no text"),
        ({"technique_id": 7}, "field 'technique_id': '7' is no text"),
    ],
)
def test_a_bad_record_is_named(tmp_path, change, message):
    with pytest.raises(DataError, match=r"athena-cti-ate\.jsonl, record 2") as caught:
        load_ate(tmp_path, ROW, {**ROW, **change})
    assert message in str(caught.value)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(DataUnavailable, match=r"athena-vsp: there is no .*athena-cti-vsp\.jsonl"):
        BY_KIND["vsp"].load(tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answers_score_full_marks_on_our_own_items(kind):
    task = BY_KIND[kind]
    for mode in Mode:
        scores = [task.scorer(item, Output(text=f"Because.\nAnswer: {item.gold}"), mode) for item in own(kind)]
        assert task.metric.aggregate(scores, mode).value == 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_no_constant_answer_gets_far_on_our_own_items(kind):
    best = BY_KIND[kind].constant(own(kind), Mode.STRICT)
    assert best.value < (0.9 if kind == "vsp" else 0.35)


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_of_an_error_is_no_answer(kind):
    item = own(kind)[0]
    assert BY_KIND[kind].fault(item, Output(text="Answer: A")) is None
    fault = BY_KIND[kind].fault(item, Output(text="Error generating response: 503 UNAVAILABLE"))
    assert fault.startswith(f"{item.id}: the answer is the text of an error and no answer: 'Error generating")


def test_our_own_questions_have_five_options_and_balanced_letters():
    golds = [item.gold for item in own("mcq")]
    assert {golds.count(letter) for letter in "ABCDE"} == {len(golds) // 5}
    assert all(f"\n{letter}) " in item.prompt for item in own("mcq") for letter in "ABCDE")
