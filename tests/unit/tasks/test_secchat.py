"""Dialogues and questions: small files, our own items, and the published ones."""

import importlib.util
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.secchat import SYSTEM, TASKS

BY_NAME = {task.name: task for task in TASKS}
DATA = Path(os.environ.get("SLMSEC_DATA", ""))
published = pytest.mark.skipif(not (DATA / "hackmentor").is_dir(), reason="SLMSEC_DATA names no published files")
QUESTION = {"topic": "salt", "aspect": "what", "instruction": "What is salt?", "output": "Random bytes.",
            "facts": [["random"]]}  # fmt: skip
FIRST = {"user": "On db-1?", "assistant": "Random bytes.", "facts": [["random"]], "history": False}
SECOND = {"user": "Where?", "assistant": "On db-1.", "facts": [["db-1"]], "history": True}
DIALOGUE = {"topic": "salt", "turns": [FIRST, SECOND]}


def load(folder, name, content):
    path = folder / BY_NAME[name].files[0]
    path.parent.mkdir(exist_ok=True)
    lines = "".join(json.dumps(row) + "\n" for row in content)
    path.write_text(lines if path.suffix == ".jsonl" else json.dumps(content), "utf-8")
    return BY_NAME[name].load(folder)


def test_a_turn_is_asked_with_the_turns_before_it(tmp_path):
    first, second = load(tmp_path, "secchat-turn", [DIALOGUE])
    assert first.messages() == (("system", SYSTEM), ("user", "On db-1?"))
    assert second.messages()[1:] == (("user", "On db-1?"), ("assistant", "Random bytes."), ("user", "Where?"))
    assert first.meta["cluster"] == second.meta["cluster"]
    assert (first.meta["history"], second.meta["history"]) == (False, True)


def test_published_forms(tmp_path):
    seeds = load(tmp_path, "hackmentor-seed", [{"instruction": "Sum up.", "instances": [
        {"input": "", "output": "x"}, {"input": "A worm.", "output": "y"}]}])  # fmt: skip
    assert [(item.prompt, item.gold) for item in seeds] == [("Sum up.", "x"), ("Sum up.\n\nA worm.", "y")]
    turns = [{"user": "a", "assistant": "b"}, {"user": "c"}, {"assistant": "d"}, {"user": "left out"}]
    (last,) = load(tmp_path, "hackmentor-dialogue", [turns])
    assert (last.prompt, last.gold, last.shots) == ("c", "d", (("user", "a"), ("assistant", "b")))
    message = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (turn,) = load(tmp_path, "hackmentor-turn", [{"messages": message}])
    assert (turn.prompt, turn.gold) == ("a", "b")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("secchat-iio", [{**QUESTION, "facts": [["salt"]]}],
         r"iio\.jsonl, record 1, field 'facts': the reference answer does not meet all facts.*; correct the row"),
        ("secchat-iio", [{**QUESTION, "facts": [[]]}], r"field 'facts\[0\]': the list has 0 entries"),
        ("secchat-iio", [{**QUESTION, "facts": []}], r"field 'facts': '\[\]' is no list of facts"),
        ("secchat-iio", [{**QUESTION, "forbid": ["bytes"]}], r"or meets a forbidden one"),
        ("secchat-iio", [{**QUESTION, "output": " "}], r"field 'output': the text is empty"),
        ("secchat-turn", [{"topic": "t", "turns": [SECOND]}], r"field 'turns\[0\]\.history': it must be true or false"),
        ("hackmentor-dialogue", [[{"user": "a"}, {"user": "b"}, {"assistant": "c"}]],
         r"record 1, field 'turns\[1\]': the user speaks where the other one has to"),
        ("hackmentor-dialogue", [[{"user": "a"}]], r"the dialogue has no answer at its end"),
        ("hackmentor-dialogue", [[{"robot": "a"}]], r"the turn is neither of user nor of assistant"),
        ("hackmentor-dialogue", [[{"user": "a"}, {"assistant": ""}]], r"'turns\[1\]\.assistant': the text is empty"),
        ("hackmentor-turn", [{"messages": [{"role": "system", "content": "a"}]}], r"'system' is neither user nor"),
    ],
)  # fmt: skip
def test_bad_input_names_file_record_field_and_remedy(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, name, content)


@pytest.mark.parametrize(("name", "clusters", "constant"), [("secchat-iio", 40, 0.214), ("secchat-turn", 80, 0.189)])
def test_own_items_meet_their_facts_and_a_constant_answer_scores_what_the_manual_says(name, clusters, constant):
    task = BY_NAME[name]
    items = task.load(fixtures_dir() / "data")
    assert len(items) == task.n_items == len({(item.prompt, item.shots) for item in items})
    assert len({item.meta["cluster"] for item in items}) == clusters
    assert task.constant(items, Mode.STRICT)[1] == pytest.approx(constant, abs=5e-4)


def test_the_host_of_the_last_turn_stands_in_the_first_one_only():
    items = BY_NAME["secchat-turn"].load(fixtures_dir() / "data")
    assert Counter(item.meta["history"] for item in items) == {True: 160, False: 80}
    for item in items[2::3]:
        host = json.loads(item.gold)["facts"][0][0]
        assert host in item.shots[0].content
        assert host not in item.prompt
        assert not BY_NAME["secchat-turn"].scorer(item, Output("It was another host."), Mode.STRICT).correct


def test_the_script_writes_the_files_that_are_here(tmp_path):
    spec = importlib.util.spec_from_file_location("make_secchat", fixtures_dir() / "secchat" / "make_items.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.write_all(tmp_path)
    for name in ("iio", "turn"):
        stored = fixtures_dir() / "data" / "secchat" / f"{name}.jsonl"
        assert (tmp_path / f"{name}.jsonl").read_bytes() == stored.read_bytes()


@published
def test_the_published_files_hold_as_many_items_as_stated():
    names = ("hackmentor-seed", "hackmentor-dialogue", "hackmentor-turn")
    found = {name: BY_NAME[name].load(DATA) for name in names}
    assert [len(found[name]) for name in names] == [145, 73, 316] == [BY_NAME[name].n_items for name in names]
    dialogues = json.loads((DATA / "hackmentor/eval_turn_data.json").read_text("utf-8"))
    assert sum([*turns[-1]][-1] == "user" for turns in dialogues) == 1
