"""Readers of JSON and comma-separated files: what they give, and what they say about damage."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.tasks.records import Record, read_csv, read_json_lines, read_json_list

ROW = {"question": "Which?", "answers": {"A": "one", "B": ""}, "choices": ["x", None], "number": 3}
RECORD = Record("set.json", 7, ROW)


def written(folder, text, encoding="utf-8"):
    path = folder / "file"
    path.write_bytes(text.encode(encoding))
    return path


def test_fields_by_path():
    assert RECORD.text("question") == "Which?"
    assert RECORD.text("answers", "B", empty=True) == ""
    assert RECORD.texts("choices") == ["x", ""]
    assert RECORD.origin == "set.json record 7"


@pytest.mark.parametrize(
    ("take", "message"),
    [
        (lambda r: r.text("gold"), r"^set\.json, record 7, field 'gold': the field is missing; fetch"),
        (lambda r: r.text("answers", "C"), r"field 'answers\.C': the field is missing"),
        (lambda r: r.text("answers", "B"), r"field 'answers\.B': the text is empty"),
        (lambda r: r.text("number"), r"field 'number': '3' is no text"),
        (lambda r: r.text("choices", 5), r"field 'choices\[5\]': the field is missing"),
        (lambda r: r.text("number", "A"), r"field 'number\.A': '3' holds no fields"),
        (lambda r: r.texts("question"), r"field 'question': 'Which\?' is no list of texts"),
        (lambda r: r.texts("choices", least=4), r"field 'choices': the list has 2 entries and needs at least 4"),
    ],
)
def test_bad_fields_name_file_record_field_and_remedy(take, message):
    with pytest.raises(DataError, match=message):
        take(RECORD)


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none()), min_size=1))
def test_every_json_list_of_objects_comes_as_it_stands(tmp_path_factory, rows):
    path = written(tmp_path_factory.mktemp("json"), json.dumps(rows))
    assert [record.value for record in read_json_list(path)] == rows
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    assert [record.value for record in read_json_lines(path)] == rows


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=3, max_size=3), min_size=1))
def test_every_table_comes_as_it_stands(tmp_path_factory, rows):
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    path = written(tmp_path_factory.mktemp("csv"), file.getvalue())
    assert [list(record.value.values()) for record in read_csv(path, ("a", "b", "c"), header=False)] == rows


def test_only_line_breaks_part_rows(tmp_path):
    path = written(tmp_path, "a\u2028b,c\x85d\r\ne,f\r\n")
    rows = [tuple(record.value.values()) for record in read_csv(path, ("A", "B"), header=False)]
    assert rows == [("a\u2028b", "c\x85d"), ("e", "f")]


def test_a_header_names_the_columns_in_any_order(tmp_path):
    path = written(tmp_path, 'B,A\n"two, or\n2",one\n')
    assert [record.value for record in read_csv(path, ("A", "B"))] == [{"A": "one", "B": "two, or\n2"}]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_json_list, '[{"a": 1}, {"a"', r"file: not JSON \(.*cut off\?\); fetch"),
        (read_json_list, "", r"file: not JSON"),
        (read_json_list, "{}", r"file: must hold a list"),
        (read_json_list, "[]", r"file holds no records"),
        (read_json_list, "[1]", r"file, record 1: '1' is no object"),
        (read_json_list, "[" * 100_000, r"file: n(ested too deeply|ot JSON)"),
        (lambda path: read_json_list(path, "questions"), "[]", r"must hold an object with a list under 'questions'"),
        (read_json_lines, '{"a": 1}\n{"a":', r"file, line 2: not JSON"),
        (read_json_lines, "\n\n", r"file holds no records"),
        (lambda path: read_csv(path, ("A", "B")), "A,C\n1,2\n", r"has no single column 'B' \(it has: A, C\)"),
        (lambda path: read_csv(path, ("A", "B")), "A,B\n1\n", r"record 1 has 1 of 2 columns"),
        (lambda path: read_csv(path, ("A", "B")), "", "is empty; fetch the published file again"),
        (lambda path: read_csv(path, ("A", "B")), 'A,B\n1,"cut', r"line 2: not comma-separated text"),
        (lambda path: read_csv(path, ("A",), False), "1,2\n", r"record 1 has 2 of 1 columns"),
    ],
)
def test_damaged_files(tmp_path, read, text, message):
    with pytest.raises(DataError, match=message):
        read(written(tmp_path, text))


def test_other_encodings_and_missing_files(tmp_path):
    with pytest.raises(DataError, match=r"line 2, byte 13: not UTF-8 .*save it as UTF-8"):
        read_json_lines(written(tmp_path, '{"a": "b"}\n{"\xe9": 1}', "latin-1"))
    with pytest.raises(DataUnavailable, match=r"nothing cannot be read"):
        read_json_list(tmp_path / "nothing")
