import json

import pytest

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Message
from pytest_slmsec.finetune.rows import read_training_rows


def chat(*turns):
    return {"messages": [{"role": role, "content": text} for role, text in turns]}


def read(tmp_path, *rows, form=None, system=None):
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read_training_rows([path], form, system)


PAIR = chat(("user", "Which port has SSH?"), ("assistant", "22"))


def test_a_chat_of_two_turns_is_a_prompt_and_an_answer(tmp_path):
    row = read(tmp_path, PAIR, PAIR)[0]
    assert row.prompt == (Message("user", "Which port has SSH?"),)
    assert row.answer == "22"
    assert row.where.endswith("train.jsonl, line 1")


def test_a_dialogue_is_split_at_every_answer(tmp_path):
    long = chat(("system", "Be brief."), ("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
    rows = read(tmp_path, long, form="turn")
    assert [row.answer for row in rows] == ["b", "d"]
    assert [turn.content for turn in rows[1].prompt] == ["Be brief.", "a", "b", "c"]


def test_an_instruction_and_its_input_are_one_prompt(tmp_path):
    rows = read(tmp_path, {"instruction": "Explain.", "input": "CWE-79", "output": "XSS"},
                {"instruction": "Name a port.", "input": "", "output": "22"}, form="iio")  # fmt: skip
    assert [row.prompt[0].content for row in rows] == ["Explain.\n\nCWE-79", "Name a port."]
    assert [row.answer for row in rows] == ["XSS", "22"]


def test_sharegpt_and_questions_with_answers_are_seen_by_their_fields(tmp_path):
    share = {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}
    rows = read(tmp_path, share, {"question": "c", "answer": "d"}, {"prompt": "e", "completion": "f"})
    assert [(row.prompt[0].content, row.answer) for row in rows] == [("a", "b"), ("c", "d"), ("e", "f")]


def test_a_system_turn_is_put_in_front_of_rows_that_have_none(tmp_path):
    own = chat(("system", "Own."), ("user", "a"), ("assistant", "b"))
    assert [row.turns[0].content for row in read(tmp_path, PAIR, own, system="Given.")] == ["Given.", "Own."]


def test_rows_of_a_table_that_are_kept_for_the_test_are_not_trained(tmp_path):
    path = tmp_path / "soc.csv"
    path.write_text("question,answer,split\na,b,train\nc,d,test\ne,f,\n")
    assert [row.answer for row in read_training_rows([path], "qa", None)] == ["b", "f"]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no row of training data, and at least 2 are needed"),
        ([PAIR], "one row of training data"),
        ([PAIR, chat(("user", "a"), ("user", "b"))], "line 2: turn 2 is 'user' where 'assistant' is due"),
        ([PAIR, chat(("assistant", "b"))], "turn 1 is 'assistant' where 'user' is due"),
        ([PAIR, chat(("user", "a"))], "ends without an answer of the assistant"),
        ([PAIR, chat(("tool", "a"))], "has the role"),
        ([PAIR, chat(("user", ""), ("assistant", "b"))], "turn 1 has no text"),
        ([PAIR, {"messages": []}], "'messages' is no list of turns"),
        ([PAIR, {"messages": ["a"]}], "turn 1 is no object"),
        ([PAIR, {"frage": "a"}], "its fields are none that is known (it has: 'frage')"),
        ([PAIR, {"instruction": "", "output": "a"}], "'instruction' is empty"),
        ([PAIR, {"instruction": 3, "output": "a"}], "'instruction' is no text"),
        ([PAIR, {"question": "a\0", "answer": "b"}], "NUL byte"),
    ],
)
def test_a_row_that_cannot_be_used_is_one_sentence(tmp_path, rows, words):
    with pytest.raises(DataError, match="") as error:
        read(tmp_path, *rows)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_row_of_another_form_than_named_is_refused(tmp_path):
    with pytest.raises(DataError, match="none of the form 'alpaca'"):
        read(tmp_path, PAIR, PAIR, form="alpaca")


def test_a_plain_text_has_no_rows(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("one line\n")
    with pytest.raises(DataError, match=r"rows are read of \.csv"):
        read_training_rows([path], None, None)
