"""Log lines: our own rows, and logs of the user's own."""

import json

import pytest

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.registry import find_task

ROW = {
    "id": "a-1", "log": "kernel: sda: I/O error", "level": 2, "valid": True, "family": "disk", "category": "kernel",
    "cause": [["disk", "drive"]], "steps": [["back up"]], "forbid": ["format"],
    "answer": "Cause - The disk fails. Remediation - 1. Back up the data.",
}  # fmt: skip
FILES = {
    "syslog-severity": "severity.jsonl", "syslog-refusal": "refusal.jsonl", "syslog-analysis": "analysis.jsonl",
    "syslog-journal": "journal.json", "syslog-rfc5424": "messages.log", "syslog-table": "table.csv",
}  # fmt: skip
ENTRY = {"PRIORITY": "3", "SYSLOG_IDENTIFIER": "sshd", "MESSAGE": "error: no key", "_PID": "7"}
LINE = "<165>1 2025-04-04T23:55:52Z web3 sshd 812 - - Failed password for root"


def load(folder, name, text):
    (folder / FILES[name]).write_bytes(text if isinstance(text, bytes) else text.encode())
    return find_task(name).load(folder)


def rows(*changes):
    return "\n".join(json.dumps({**ROW, **change}) for change in changes) + "\n"


@pytest.mark.parametrize(("name", "gold"), [("syslog-severity", "2"), ("syslog-refusal", "answer")])
def test_a_row_is_an_item_with_its_family_as_cluster(tmp_path, name, gold):
    (item,) = load(tmp_path, name, rows({}))
    assert (item.gold, item.meta["cluster"], item.meta["category"]) == (gold, "disk", "kernel")
    assert item.prompt.endswith(ROW["log"])


@pytest.mark.parametrize("name", ["syslog-severity", "syslog-refusal", "syslog-analysis"])
def test_our_own_items_are_complete_and_no_constant_answer_does_well(name):
    task = find_task(name)
    items = task.load(fixtures_dir() / "data")
    assert len(items) == task.n_items == len({item.prompt for item in items})
    assert task.constant(items, Mode.STRICT).value <= 0.5
    assert all(item.meta["category"] for item in items)


def test_the_severities_are_even_and_the_families_have_four_lines_each():
    levels = [item.gold for item in find_task("syslog-severity").load(fixtures_dir() / "data")]
    families = [item.meta["cluster"] for item in find_task("syslog-analysis").load(fixtures_dir() / "data")]
    assert {level: levels.count(level) for level in levels} == dict.fromkeys("01234567", 40)
    assert len({*families}) == 60
    assert {families.count(family) for family in families} == {4}


def test_no_model_answer_is_correct_for_another_family():
    task = find_task("syslog-analysis")
    path = fixtures_dir() / "data" / "syslog" / "analysis.jsonl"
    answers = {row["family"]: row["answer"] for row in map(json.loads, path.read_text("utf-8").splitlines())}
    for item in {item.meta["cluster"]: item for item in task.load(fixtures_dir() / "data")}.values():
        right = [name for name, text in answers.items() if task.scorer(item, Output(text=text), Mode.STRICT).correct]
        assert right == [item.meta["cluster"]]


def test_other_marks_of_a_line_s_end_stay_in_the_message(tmp_path):
    (item,) = load(tmp_path, "syslog-rfc5424", f"{LINE} a\u2028b\x0bc\r\n")
    assert item.prompt.endswith("a\u2028b\x0bc")


def test_a_priority_may_be_a_number(tmp_path):
    (item,) = load(tmp_path, "syslog-journal", json.dumps({**ENTRY, "PRIORITY": 3}))
    assert item.gold == "3"


def test_a_journal_entry_shows_three_fields_and_its_priority_is_the_gold_answer(tmp_path):
    (item,) = load(tmp_path, "syslog-journal", json.dumps(ENTRY) + "\n")
    shown = json.loads(item.prompt.rpartition("\n")[2])
    assert (item.gold, sorted(shown)) == ("3", ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER"])


def test_the_severity_of_a_line_is_pri_modulo_8(tmp_path):
    (item,) = load(tmp_path, "syslog-rfc5424", f"{LINE}\n")
    assert (item.gold, item.meta["program"], item.origin) == ("5", "sshd", "messages.log line 1")


def test_a_table_has_logs_and_answers(tmp_path):
    items = load(tmp_path, "syslog-table", 'log,answer\n"kernel: a, b",Cause - x.\nkernel: c,Cause - y.\n')
    assert [item.gold for item in items] == ["Cause - x.", "Cause - y."]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("syslog-severity", rows({"level": 8}), "record 1, field 'level': '8' is no severity from 0 to 7"),
        ("syslog-severity", rows({}, {}), "record 2, field 'id': the id 'a-1' stands in record 1 as well"),
        ("syslog-severity", rows({"log": "a\0b"}), "record 1, field 'log': the text holds a NUL byte"),
        ("syslog-severity", "", "holds no records"),
        ("syslog-refusal", rows({"valid": "yes"}), "record 1, field 'valid': 'yes' is not true or false"),
        ("syslog-analysis", rows({"cause": [[]]}), "field 'cause[0]': the list has 0 entries and needs at least 1"),
        ("syslog-analysis", rows({"steps": []}), "field 'steps': a list of facts is needed"),
        ("syslog-analysis", rows({"steps": [[""]]}), "field 'steps[0]': an alternative is empty"),
        ("syslog-analysis", rows({"cause": [["network"]]}), "field 'answer': the row's own answer"),
        ("syslog-journal", json.dumps({**ENTRY, "PRIORITY": "9"}), "record 1: PRIORITY is '9' and must be a digit"),
        ("syslog-journal", json.dumps({**ENTRY, "PRIORITY": [51]}), "record 1: PRIORITY is a list of bytes"),
        ("syslog-journal", json.dumps({**ENTRY, "MESSAGE": [1, 2]}), "record 1: MESSAGE is a list of bytes"),
        ("syslog-journal", json.dumps({**ENTRY, "MESSAGE": ["a", "b"]}), "record 1: MESSAGE is a list of values, as"),
        ("syslog-journal", json.dumps({**ENTRY, "MESSAGE": " "}), "record 1: MESSAGE is empty; leave the entry out"),
        ("syslog-journal", json.dumps({**ENTRY, "MESSAGE": "a\0"}), "record 1: MESSAGE holds a NUL byte; leave"),
        ("syslog-journal", json.dumps({**ENTRY, "PRIORITY": 8}), "record 1: PRIORITY is '8' and must be a digit"),
        ("syslog-journal", "{", "cut off?); export it again with journalctl -o json"),
        ("syslog-severity", rows({"log": "<200>1 - - - - - - x", "level": 0}), "'log': PRI is 200 and at most 191"),
        ("syslog-severity", rows({"log": "<13>x: y", "level": 3}), "'level': the PRI 13 of the line says severity 5"),
        ("syslog-rfc5424", LINE.replace("165", "1650"), "line 1: PRI is 1650 and at most 191 is allowed"),
        ("syslog-journal", json.dumps({"MESSAGE": "x"}), "record 1: PRIORITY is None and must be a digit"),
        ("syslog-journal", "\n", "is empty; export it again with journalctl -o json"),
        ("syslog-rfc5424", LINE.replace("165", "192"), "line 1: PRI is 192 and at most 191 is allowed"),
        ("syslog-rfc5424", f"{LINE}\nMar 04 web3 x: y", "line 2: 'Mar 04 web3 x: y' is no line of RFC 5424"),
        ("syslog-rfc5424", f"{LINE}\n\0", "line 2: it holds a NUL byte"),
        ("syslog-rfc5424", b"", "is empty; export the log again"),
        ("syslog-table", "log,answer\nx,y,z\n", "row 1: it has 3 columns and needs two"),
        ("syslog-table", "log,answer\nx,\n", "row 1: a cell is empty"),
        ("syslog-table", "log,answer\n", "holds no log lines"),
    ],
)
def test_bad_input_is_one_sentence_with_file_place_and_remedy(tmp_path, name, text, message):
    with pytest.raises(DataError) as error:
        load(tmp_path, name, text)
    said = str(error.value)
    assert str(tmp_path / FILES[name]) in said
    assert message in said
    assert said.endswith(".")


def test_a_file_that_is_not_there_is_no_error_of_the_data(tmp_path):
    with pytest.raises(DataUnavailable, match=r"table\.csv"):
        find_task("syslog-table").load(tmp_path)
