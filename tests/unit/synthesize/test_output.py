"""Cells of CSV are never formulas, and every row can be read back."""

import csv
import json

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.finetune.rows import read_training_rows
from pytest_slmsec.synthesize.output import COLUMNS, escaped, plain_row, write_rows
from pytest_slmsec.synthesize.pipeline import Question, Row
from pytest_slmsec.tasks.training_texts import training_texts


@given(st.sampled_from(["=", "+", "-", "@", "\t", "\r", " =", "\n@"]), st.text())
def test_a_cell_that_would_be_a_formula_gets_an_apostrophe(start, rest):
    assert escaped(start + rest) == f"'{start}{rest}"


@given(st.text())
def test_no_cell_begins_like_a_formula_and_others_stay_as_they_are(cell):
    found = escaped(cell)
    assert not found.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert found in (cell, f"'{cell}")


def test_both_files_hold_the_same_rows(tmp_path):
    rows = [Row(Question(("Mail", "=Phishing"), "What is @here \u2028 and why?", "q1"), '=HYPERLINK("x")\n"two"', "a1"),
            Row(Question(("Mail",), "Second?", "q2"), "\ud800 plain", "a2")]  # fmt: skip
    write_rows(tmp_path, rows, [], "toy")
    lines = (tmp_path / "data.jsonl").read_text("utf-8").split("\n")[:-1]
    assert json.loads(lines[0]) == plain_row(rows[0], "toy")
    with (tmp_path / "data.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert tuple(table[0]) == COLUMNS
    assert table[0]["answer"] == "'" + rows[0].answer
    assert table[0]["topic"] == "Mail > =Phishing"
    assert (table[1]["question"], table[1]["model"], table[1]["prompt_sha256"]) == ("Second?", "toy", "a2")
    assert list(training_texts(tmp_path / "data.jsonl"))[:2] == [rows[0].question.text, rows[0].answer]


def test_the_rows_are_training_data_of_the_form_messages(tmp_path):
    rows = [
        Row(Question(("Mail",), f"What is {word}?", "q"), f"A kind of {word}.", "a") for word in ("spam", "phishing")
    ]
    write_rows(tmp_path, rows, [], "toy")
    read = read_training_rows([tmp_path / "data.jsonl"], "messages", None)
    assert [(row.prompt[0].content, row.answer) for row in read] == [(row.question.text, row.answer) for row in rows]
