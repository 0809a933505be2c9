"""Texts of training data: every form that is read, and every file that is refused in one sentence."""

import json

import pytest

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.tasks.training_texts import training_texts

CHAT = {"messages": [{"role": "user", "content": "What is a worm?"}, {"role": "assistant", "content": "A program."}]}
PARTS = {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is a worm?"}]}]}
SHARED = {"conversations": [{"from": "human", "value": "What is a worm?"}, {"from": "gpt", "value": "A program."}]}
ALPACA = {"instruction": "Name the port.", "input": "SSH", "output": 22}


def texts(tmp_path, name, content, names=None):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return list(training_texts(path, names))


def test_tables_with_a_byte_order_mark_further_columns_and_other_names(tmp_path):
    table = "\ufeffFrage,answer,note\nWhich port?,22,skip\n"
    assert texts(tmp_path, "a.csv", table, {"question": "Frage"}) == ["Which port?", "22"]
    assert texts(tmp_path, "a.tsv", "question\tanswer\nWhich port?\t22\n") == ["Which port?", "22"]


def test_rows_of_a_test_split_are_no_training_data(tmp_path):
    table = "question,answer,split\nWhich port?,22,test\nWhich host?,db1,train\n"
    assert texts(tmp_path, "a.csv", table) == ["Which host?", "db1"]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (CHAT, ["What is a worm?", "A program."]),
        (PARTS, ["What is a worm?"]),
        (SHARED, ["What is a worm?", "A program."]),
        (ALPACA, ["Name the port.", "SSH", "22"]),
        ({"text": "A worm spreads.", "id": 7}, ["A worm spreads."]),
    ],
)
def test_json_lines_and_json_lists(tmp_path, row, says):
    assert texts(tmp_path, "a.jsonl", json.dumps(row) + "\n\n" + json.dumps(row)) == says * 2
    assert texts(tmp_path, "a.json", json.dumps([row])) == says


def test_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["question", "answer"], ["Which port?", 22]):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")
    assert list(training_texts(tmp_path / "a.xlsx")) == ["Which port?", "22"]


def test_plain_text_gives_paragraphs_and_their_lines(tmp_path):
    assert texts(tmp_path, "a.txt", "one\ntwo\n\nthree\n") == ["one\ntwo\n", "one\n", "two\n", "three\n"]


def test_a_paragraph_of_many_lines_comes_in_parts_that_share_a_line(tmp_path):
    found = texts(tmp_path, "a.log", "".join(f"{n}\n" for n in range(1500)))
    parts = [text.split() for text in found if text.count("\n") > 1]
    assert [part[0] for part in parts] == ["0", "1000"]
    assert parts[0][-1] == "1000"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", "", "a.csv holds no training text; name a file"),
        ("a.txt", " \n\n", "a.txt holds no training text"),
        ("a.csv", "question,answer\n", "a.csv holds no training text"),
        (
            "a.csv",
            "id,score\n1,2\n",
            r"a.csv, row 1: there is no column .* \(it has: 'id', 'score'\); call",
        ),
        ("a.csv", "question,answer\na,b,c\n", "a.csv, row 1: 3 cells in place of 2; quote cells"),
        ("a.csv", 'question,answer\n"a"b,c\n', "a.csv, line 2: not a table of separated values"),
        ("a.jsonl", '{"text": "x"}\n{"text":\n', "a.jsonl, line 2: not JSON"),
        ("a.jsonl", "[1]\n", "a.jsonl, line 1: '.*' is no object; write one object a line"),
        ("a.jsonl", "{}\n", r"line 1: there is no column .* \(it has: none\)"),
        ("a.json", '{"text": "x"}', "a.json: this is no list of objects"),
        ("a.json", "[", "a.json: not JSON"),
        ("a.xlsx", "PK", "a.xlsx: not a workbook"),
        ("a.txt", b"fine\n\n\xff\xfe", "a.txt, line 3: not UTF-8"),
    ],
)
def test_what_is_refused_in_one_sentence(tmp_path, name, content, says):
    if name.endswith("xlsx"):
        pytest.importorskip("openpyxl")
    with pytest.raises(DataError, match=says):
        texts(tmp_path, name, content)
