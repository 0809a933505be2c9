"""SEvenLLM tasks over small files in the published formats."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pytest_slmsec.core.errors import DataError, DataUnavailable, MissingExtraError
from pytest_slmsec.core.items import Generate, Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.sevenllm import COMMONPLACE, TASKS, best_value
from pytest_slmsec.tasks.sources import find

BY_NAME = {task.name: task for task in TASKS}
CHOICE = {"question": "What was it?", "choice": {"A": "a worm", "B": "a bot", "C": "spam", "D": "none"}}
BASE = {"category": "Summary", "filename": "one-en", "input": "A worm hit a bank.", "thought": "It says so."}
ROWS: list[dict] = [
    {"id": 7, "task": "test-zh-ex", **BASE, "instruction": "提取名称", "output": {"名称": ["蠕虫"]}},
    {"id": 8, "task": "test-zh-gen", **BASE, "instruction": "概括", "output": "蠕虫攻击了银行。"},
    {
        "id": 9,
        "task": "test-en-ex",
        **BASE,
        "instruction": "Extract it.",
        "output": {"Name": "worm", "Hosts": [1, True]},
    },
    {"id": 10, "task": "test-en-gen", **BASE, "instruction": "Sum up.", "output": "A worm hit a bank."},
    {"id": 11, "task": "test-en-choice", **BASE, "instruction": CHOICE, "output": "A"},
    {"id": 12, "task": "test-zh-choice", **BASE, "instruction": CHOICE, "output": "D"},
    {"id": 13, "task": "test-en-ex", **BASE, "instruction": "Classify it.", "output": "worm outbreak"},
]


def write(folder, rows=ROWS, name="test_all.jsonl"):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / name).write_text(text, encoding="utf-8")


def changed(number, **fields):
    return [row | fields if place == number else row for place, row in enumerate(ROWS)]


def test_six_tasks_by_language_and_their_published_sizes():
    assert {task.name: task.n_items for task in TASKS} == {
        "sevenllm-mcq-en": 50, "sevenllm-mcq-zh": 50, "sevenllm-gen-en": 300, "sevenllm-gen-zh": 300,
        "sevenllm-extract-en": 300, "sevenllm-extract-zh": 300,
    }  # fmt: skip
    assert {task.metric.name for task in TASKS} == {"accuracy v2", "ROUGE-L v2", "ROUGE-L v2 zh", "F1 v2"}
    assert all(task.version.startswith("v2") for task in TASKS)


def test_an_item_is_the_alpaca_prompt_without_a_chat_template(tmp_path):
    write(tmp_path)
    (item,) = BY_NAME["sevenllm-gen-en"].load(tmp_path)
    assert item.id == "sevenllm-gen-en-00001"
    assert item.prompt == (
        "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
        "response that appropriately completes the request.\n\n### Instruction:\nSum up.\n\n### Input:\n"
        "A worm hit a bank.\n\n### Response:"
    )
    assert (item.raw, item.system, item.gold) == (True, None, "A worm hit a bank.")
    assert item.meta == {"id": 10, "category": "Summary", "filename": "one-en", "cluster": "one-en"}
    assert item.origin == "test_all.jsonl record 4"


def test_a_question_stands_in_the_prompt_as_python_writes_it(tmp_path):
    write(tmp_path)
    (item,) = BY_NAME["sevenllm-mcq-zh"].load(tmp_path)
    assert f"### Instruction:\n{CHOICE!s}\n\n### Input:" in item.prompt
    assert (item.gold, item.meta["options"]) == ("D", ["a worm", "a bot", "spam", "none"])


def test_gold_structures_are_json(tmp_path):
    write(tmp_path)
    first, second = BY_NAME["sevenllm-extract-en"].load(tmp_path)
    assert [json.loads(item.gold) for item in (first, second)] == [
        {"Name": "worm", "Hosts": [1, True]},
        "worm outbreak",
    ]
    assert [item.id for item in (first, second)] == ["sevenllm-extract-en-00001", "sevenllm-extract-en-00002"]


def test_the_hub_form_spells_structures_as_texts_and_gives_the_same_items(tmp_path):
    """Also without the field `task`, and then with the published ids."""
    write(tmp_path)
    ids = {"zh-ex": 1, "zh-gen": 301, "en-ex": 601, "en-gen": 901, "en-choice": 1201, "zh-choice": 1251}
    hub = []
    for row in ROWS[:6]:
        output = row["output"]
        hub.append({
            **row, "id": ids[row["task"].removeprefix("test-")], "task": None, "instruction": str(row["instruction"]),
            "output": output if isinstance(output, str) else json.dumps(output),
        })  # fmt: skip
    for name, task in BY_NAME.items():
        assert task.from_rows(hub)[0].prompt == task.load(tmp_path)[0].prompt, name
        assert task.from_rows(hub)[0].gold == task.load(tmp_path)[0].gold, name


def test_of_the_hub_data_set_only_the_file_of_the_test_split_is_read(tmp_path, monkeypatch):
    """Its training file has other columns. The data set lies on this disk and is read by the same code."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "hub"
    folder.mkdir()
    write(folder, name="test.jsonl")
    (folder / "train.jsonl").write_text('{"text": 1}\n')
    for task in TASKS:
        local = replace(
            task, hub=replace(task.hub, dataset=str(folder)), n_items=2 if task.name.endswith("ract-en") else 1
        )
        assert find(local, "hub", False).ids[0] == f"{task.name}-00001"
        assert [item.gold for item in find(local, "hub", False).items] == [item.gold for item in task.from_rows(ROWS)]


def test_published_layout_and_flat_folder(tmp_path):
    (tmp_path / "sevenllm").mkdir()
    write(tmp_path / "sevenllm")
    task = BY_NAME["sevenllm-mcq-en"]
    assert task.load(tmp_path)[0].gold == task.load(tmp_path / "sevenllm")[0].gold == "A"


def test_the_model_s_own_template_on_request_and_the_limits_of_new_tokens(tmp_path):
    write(tmp_path)
    task = BY_NAME["sevenllm-gen-en"]
    (item,) = task.load(tmp_path)
    asked = [
        task.request(item, Mode.STRICT),
        task.request(item, Mode.STRICT, chat=True),
        task.request(item, Mode.OFFICIAL),
    ]
    assert all(isinstance(request, Generate) for request in asked)
    assert [(request.raw, request.max_new_tokens) for request in asked] == [(True, 512), (False, 512), (True, 2000)]
    assert asked[1].messages == (("user", item.prompt),)


def test_a_missing_package_is_named_with_its_extra(monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None if name == "jieba" else object())
    BY_NAME["sevenllm-mcq-en"].check_installed()
    with pytest.raises(
        MissingExtraError, match=r"sevenllm-gen-zh needs the package 'jieba'.*pytest-slmsec\[sevenllm\]"
    ):
        BY_NAME["sevenllm-gen-zh"].check_installed()


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        (
            "gen-en",
            changed(3, task="test-fr-gen"),
            r"test_all\.jsonl, record 4, field 'task': 'test-fr-gen' is none of",
        ),
        ("gen-en", changed(3, task=3), r"record 4, field 'task': '3' is none of"),
        ("gen-en", changed(3, task=None), r"holds no rows of the part 'en-gen'"),
        ("gen-en", changed(3, task=None, id=2000), r"record 4, field 'id': '2000' is no published id"),
        ("gen-en", changed(3, input=""), r"record 4, field 'input': the text is empty; fetch"),
        ("gen-en", changed(3, instruction=5), r"record 4, field 'instruction': '5' is no text"),
        ("gen-zh", changed(1, output=["x"]), r"record 2, field 'output': .* is no text"),
        ("mcq-en", changed(4, output="E"), r"record 5, field 'output': 'E' is not one of the options A, B, C, D"),
        ("mcq-en", changed(4, instruction="Which?"), r"field 'instruction': 'Which\?' is no question with options"),
        (
            "mcq-en",
            changed(4, instruction={"question": "?", "choice": {"A": "x"}}),
            r"'instruction\.choice\.B'.*missing",
        ),
        (
            "mcq-en",
            changed(4, instruction={"choice": CHOICE["choice"]}),
            r"'instruction\.question': the field is missing",
        ),
        ("extract-en", changed(2, output=None), r"record 3, field 'output': 'None' is no object, list or text"),
        ("extract-en", changed(2, output=" "), r"record 3, field 'output': ' ' is no object, list or text"),
        ("extract-en", changed(2, output={"n": float("nan")}), r"field 'output': it holds a number that is not finite"),
    ],
)
def test_bad_input_names_file_record_field_and_remedy(tmp_path, name, rows, message):
    write(tmp_path, rows)
    with pytest.raises((DataError, DataUnavailable), match=message):
        BY_NAME[f"sevenllm-{name}"].load(tmp_path)


def test_a_part_that_is_not_there_is_unavailable_and_so_is_the_file(tmp_path):
    with pytest.raises(DataUnavailable, match=r"there is no .*test_all\.jsonl.*--slmsec-data=DIR"):
        BY_NAME["sevenllm-gen-en"].load(tmp_path)
    write(tmp_path, ROWS[:2])
    with pytest.raises(DataUnavailable, match=r"sevenllm-gen-en: .* holds no rows of the part 'en-gen'"):
        BY_NAME["sevenllm-gen-en"].load(tmp_path)


def test_the_best_single_value_is_found_among_all(tmp_path):
    write(tmp_path)
    task = BY_NAME["sevenllm-extract-en"]
    items = task.load(tmp_path)
    answer, value, per_item = best_value(items, Mode.STRICT)
    scores = [task.scorer(item, Output(json.dumps([answer])), Mode.STRICT).value for item in items]
    assert (answer, value) == ("worm outbreak", sum(scores) / 2)
    assert value == 0.5
    assert list(per_item) == scores


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_commonplace_answer_scores_what_it_says(language):
    task = BY_NAME[f"sevenllm-gen-{language}"]
    items = task.load(fixtures_dir() / "data")
    best: Any = task.constant(items, Mode.STRICT)
    text, value, per_item = best
    assert text == COMMONPLACE[language]
    assert value == pytest.approx(
        sum(task.scorer(item, Output(text), Mode.STRICT).value for item in items) / len(items)
    )
    assert sum(per_item) / len(items) == pytest.approx(value)
    assert 0.0 < value < 0.3


# Our own items.


@pytest.mark.parametrize("name", BY_NAME)
def test_own_items_are_twelve_a_part_and_their_right_answers_score_full(name):
    task = BY_NAME[name]
    items = task.load(fixtures_dir() / "data")
    assert len(items) == 12
    scores = [task.scorer(item, Output(item.gold), Mode.STRICT) for item in items if item.gold[:1] != '"']
    assert all(score.correct and score.parsed for score in scores)
    assert task.metric.aggregate(scores, Mode.STRICT).value == pytest.approx(1.0, abs=1e-6)


def test_own_letters_are_balanced_and_options_differ():
    for name in ("sevenllm-mcq-en", "sevenllm-mcq-zh"):
        items = BY_NAME[name].load(fixtures_dir() / "data")
        assert modal_gold(items, Mode.STRICT)[1] == 0.25
        assert all(len(set(item.meta["options"])) == 4 for item in items)


def test_each_of_our_articles_is_asked_about_in_three_ways():
    clusters = {
        name: [item.meta["cluster"] for item in task.load(fixtures_dir() / "data")] for name, task in BY_NAME.items()
    }
    for language in ("en", "zh"):
        kinds = [clusters[f"sevenllm-{kind}-{language}"] for kind in ("mcq", "gen", "extract")]
        assert kinds[0] == kinds[1] == kinds[2]
        assert len(set(kinds[0])) == 12
