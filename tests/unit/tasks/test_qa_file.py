"""Questions of a user's own file: what is read, and what is refused in one sentence."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import DataError
from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.qa_file import load, read_questions, task_of_file

PORTS = "question,answer\nWhich port does SSH use?,22\nWhich port does RDP use?,3389\n"


def written(tmp_path, text, name="mine.csv"):
    path = tmp_path / name
    path.write_bytes(text.encode("utf-8"))
    return path


def pairs(items):
    return [(item.prompt, item.gold) for item in items]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_table_with_and_without_a_byte_order_mark(tmp_path, mark):
    items = read_questions(written(tmp_path, mark + PORTS))
    assert pairs(items) == [("Which port does SSH use?", "22"), ("Which port does RDP use?", "3389")]


def test_json_lines_and_columns_of_other_names(tmp_path):
    lines = [{"frage": "Which port does SSH use?", "antwort": 22, "note": "x"}, {"frage": "And DNS?", "antwort": "53"}]
    path = written(tmp_path, "".join(json.dumps(line) + "\n" for line in lines), "mine.jsonl")
    items = read_questions(path, {"question": "frage", "answer": "antwort"})
    assert pairs(items) == [("Which port does SSH use?", "22"), ("And DNS?", "53")]


def test_a_workbook(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["question", "answer"], ["Which port does SSH use?", 22]):
        book.active.append(row)
    book.save(tmp_path / "mine.xlsx")
    assert pairs(read_questions(tmp_path / "mine.xlsx")) == [("Which port does SSH use?", "22")]
    book.active.append(["And DNS?", "=50+3"])
    book.save(tmp_path / "mine.xlsx")
    with pytest.raises(DataError, match=r"row 2, column 'answer': '=50\+3' is a formula; save the values instead"):
        read_questions(tmp_path / "mine.xlsx")


def test_facts_category_and_split(tmp_path):
    text = (
        "question,answer,facts,category,split\n"
        "What stops a brute force attack?,Lock the account,lock|block; account,logins,test\n"
        "What is a port scan?,A search for open ports,,network,train\n"
    )
    task = task_of_file(written(tmp_path, text), {})
    (item,) = task.items
    assert (task.name, item.meta["category"]) == ("qa-mine", "logins")
    score = task.scorer(item, Output("Blocking the account."), Mode.STRICT)
    assert (score.correct, score.parts["facts"]) == (False, 1.0)
    assert 0 < score.value < 1
    assert task.scorer(item, Output("lock account"), Mode.STRICT).correct


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("question\nWhy?\n", "has no column 'answer'"),
        ("question,answer,answer\nWhy?,a,b\n", "has more than one column 'answer'"),
        ("question,answer\nWhy?,\n", "row 1, column 'answer': the cell is empty"),
        ("question,answer\n=A1,x\n", "row 1, column 'question': '=A1' is a formula"),
        ("question,answer\nWhy?,a\nwhy,b\n", "row 2, column 'question': the question of row 1 has another answer"),
        ("question,answer\nWhy?,a\nwhy,a\n", "row 2, column 'question': it stands in row 1 already"),
        ("question,answer,split\nWhy?,a,train\nwhy,a,test\n", "row 2: the question is training data as well .row 1."),
        ("question,answer,split\nWhy?,a,train\n", "holds no question to ask"),
        ("question,answer\nWhy, and how?,a\n", "row 1: 3 cells in place of 2"),
        ("question,answer,split\nWhy?,a,Test\nwhy,a,Train\n", "row 1: the question is training data as well .row 2."),
        ("question,answer\n端口是什么?,a\n端口是什么\uff1f,b\n", "row 2, column 'question': the question of row 1 has"),
        ("question,answer\nWhy?,#REF!\n", "row 1, column 'answer': '#REF!' is an error of the spreadsheet"),
        ("question,answer\nWhy?,\0\n", "row 1, column 'answer': the cell holds a NUL byte"),
        ("question;answer\nWhy?;a\n", "parts its cells by something else than commas .'question;answer'.; save it"),
        ("", "is empty"),
        ('question,answer\n"Why?,a\n', "not comma-separated text"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, text, says):
    with pytest.raises(DataError, match=says):
        read_questions(written(tmp_path, text))


def test_facts_may_be_lists_in_json(tmp_path):
    rows = [{"question": "Why?", "answer": "a", "facts": ["disk", ["lock", " block "]]}]
    (item,) = read_questions(written(tmp_path, "".join(map(json.dumps, rows)), "mine.jsonl"))
    assert json.loads(item.meta["facts"]) == [["disk"], ["lock", "block"]]


def test_questions_of_nothing_but_signs_are_not_taken_for_one(tmp_path):
    assert len(read_questions(written(tmp_path, "question,answer\n?,a\n!,b\n"))) == 2


def test_a_formula_of_an_array_and_old_workbooks_are_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["question", "answer"], ["Why?", "a"]):
        book.active.append(row)
    book.active["B2"] = openpyxl.worksheet.formula.ArrayFormula("B2", "=SUM(1,2)")
    book.save(tmp_path / "mine.xlsx")
    with pytest.raises(DataError, match=r"row 1, column 'answer': '=SUM\(1,2\)' is a formula"):
        read_questions(tmp_path / "mine.xlsx")
    with pytest.raises(DataError, match="workbooks of this form are not read; save it as XLSX or CSV"):
        read_questions(written(tmp_path, "x", "mine.xls"))


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        "5",
        '{"question": "Why?", "question": "How?", "answer": "a"}',
        '{"question": "Why?"}',
        '{"question": "Why?", "answer": "a", "facts": [5]}',
    ],
)
def test_bad_json_lines(tmp_path, line):
    with pytest.raises(DataError, match=r"line 1|row 1, column 'facts': '\[5\]' is no list of texts"):
        read_questions(written(tmp_path, line + "\n", "mine.jsonl"))


def test_no_workbook(tmp_path):
    pytest.importorskip("openpyxl")
    with pytest.raises(DataError, match="not a workbook"):
        read_questions(written(tmp_path, "no zip", "mine.xlsx"))


def test_our_own_questions():
    items = load(fixtures_dir() / "data")
    assert len(items) == 240
    assert {item.meta["category"] for item in items} == {"technique", "tactic", "weakness", "group"}
    task = task_of_file(fixtures_dir() / "data" / "qa" / "questions.csv", {})
    for item in items:
        score = task.scorer(item, Output(item.gold), Mode.STRICT)
        assert (score.value, score.correct, score.parts["facts"]) == (1.0, True, 1.0)
    constant = task.constant(items, Mode.STRICT)
    assert 0 < constant.value < 0.2


@given(st.text(), st.text(min_size=1))
def test_any_answer_is_scored(answer, gold):
    task = task_of_file(fixtures_dir() / "data" / "qa" / "questions.csv", {})
    score = task.scorer(Item("a", "q", gold), Output(answer), Mode.STRICT)
    assert 0 <= score.value <= 1
    assert all(0 <= value <= 1 for value in score.parts.values())
