"""CyberSOCEval, SOC-Bench, LogEval, Loghub, HSCodeComp and SQuAD over our own items and over damaged files."""

import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks import cybersoc, hscodecomp, logeval, loghub, soc_bench, squad
from pytest_slmsec.tasks.registry import find_task

OWN = fixtures_dir() / "data"
FAMILIES = (cybersoc, soc_bench, logeval, loghub, hscodecomp, squad)
NAMES = [task.name for family in FAMILIES for task in family.TASKS]
CSV = "LineId,Label,Content,EventId,EventTemplate\n1,-,door 7 opened,E1,door <*> opened\n"


def right_answer(item):
    if item.id.startswith("cybersoc"):
        return json.dumps({"correct_answers": item.gold.split(",")})
    if item.id.startswith("soc-bench"):
        return (
            f"Threat Type: {item.gold}\nMITRE Technique ID: {item.meta['technique']}\nSeverity: {item.meta['severity']}"
        )
    return item.gold


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_score_full_marks_and_empty_ones_nothing(name):
    task, items = find_task(name), find_task(name).load(OWN)
    for mode in Mode:
        scores = [task.scorer(item, Output(text=right_answer(item)), mode) for item in items]
        result = task.metric.aggregate(scores, mode)
        assert result.value == pytest.approx(1.0)
        assert [value for value in result.extras.values() if value != pytest.approx(1.0)] == []
    nothing = [task.scorer(item, Output(text=""), Mode.STRICT) for item in items]
    assert task.metric.aggregate(nothing, Mode.STRICT).value == (
        pytest.approx(8 / 28) if name == "squad-v2" else 0.0
    )  # an empty answer is the official form of "unanswerable"


@pytest.mark.parametrize("name", NAMES)
def test_own_items_are_few_distinct_and_no_constant_answer_gets_far(name):
    items = find_task(name).load(OWN)
    assert len({item.id for item in items}) == len({item.prompt for item in items}) == len(items) <= 60
    best = find_task(name).constant(items, Mode.STRICT)
    assert 0 < best.value <= (0.75 if "anomaly" in name else 0.5)
    assert all(item.meta.get("category") or "cluster" in item.meta for item in items)


def test_the_instructions_about_one_input_are_a_cluster():
    for kind in ("anomaly", "parsing", "diagnosis", "summary"):
        clusters = Counter(item.meta["cluster"] for item in find_task(f"logeval-{kind}-zh").load(OWN))
        assert set(clusters.values()) == {2}


def test_a_prompt_holds_report_question_and_options():
    whole, cut = (find_task(f"cybersoc-malware{end}").load(OWN)[0] for end in ("", "-truncated"))
    report = json.loads(next((OWN / "cybersoceval/malware_analysis/hybrid-analysis/lockers").iterdir()).read_text())
    assert f"Given this detonation report: {report}." in whole.prompt
    assert "'job_id'" in whole.prompt
    assert "'job_id'" not in cut.prompt  # not one of the 17 keys
    assert "'sha256': 'hash'" in cut.prompt
    assert "Which of these processes did the sample start?" in cut.prompt
    assert str(cut.meta["options"]) in cut.prompt


def test_a_report_that_is_not_there_is_named(tmp_path):
    shutil.copytree(OWN / "cybersoceval", tmp_path, dirs_exist_ok=True)
    next((tmp_path / "threat_intel_reasoning").glob("own-00.txt")).unlink()
    with pytest.raises(
        DataUnavailable, match=r"report_questions\.json, record 1: its report .*own-00\.txt is not there"
    ):
        find_task("cybersoc-threat").load(tmp_path)


def test_a_report_id_cannot_lead_elsewhere(tmp_path):
    rows = json.loads((OWN / "cybersoceval/threat_intel_reasoning/report_questions.json").read_text())
    (tmp_path / "report_questions.json").write_text(json.dumps([{**rows[0], "report_id": "../secret"}]))
    with pytest.raises(DataError, match=r"record 1, field 'report_id': is no file name"):
        find_task("cybersoc-threat").load(tmp_path)


def test_an_item_without_a_right_option_is_marked_and_unscored_in_strict_mode(tmp_path):
    rows = json.loads((OWN / "cybersoceval/threat_intel_reasoning/report_questions.json").read_text())
    rows = [{**rows[0], "correct_answer": ["A", "F"]}, rows[1]]
    (tmp_path / "report_questions.json").write_text(json.dumps(rows))
    items = cybersoc.questions("cybersoc-threat", cybersoc.THREAT, None, tmp_path)
    assert [cybersoc.NO_RIGHT_OPTION in item.meta for item in items] == [True, False]
    scores = [
        cybersoc.score_json_letters(item, Output(text='{"correct_answers": ["A"]}'), Mode.STRICT) for item in items
    ]
    result = cybersoc.EXACT_SET.aggregate(scores, Mode.STRICT)
    assert (result.n, result.extras["unscored"]) == (1, 1.0)


def archive(path, members):
    with zipfile.ZipFile(path, "w") as file:
        for name, text in members.items():
            file.writestr(name, text)


ROW = {"instruction": "Normal or abnormal?", "input": "door 7 opened", "output": "Normal"}


@pytest.mark.parametrize("name", ["dataset/English/anomaly.json", "en/log_anomaly_detection.jsonl", "anomaly_en.json"])
def test_a_member_is_found_by_the_words_of_its_path(tmp_path, name):
    archive(tmp_path / "dataset.zip", {name: json.dumps(ROW if name.endswith("l") else [ROW]), "zh/anomaly.json": "[]"})
    (item,) = find_task("logeval-anomaly-en").load(tmp_path)
    assert (item.prompt, item.gold) == ("Normal or abnormal?\ndoor 7 opened", "normal")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a/notes.txt": "x"}, r"dataset\.zip has no member for anomaly in 'en' \(it holds no JSON files\)"),
        ({"en/parsing.json": "[]"}, r"no member for anomaly in 'en' \(it holds 'en/parsing\.json'\)"),
        ({"en/anomaly.json": "[{"}, r"dataset\.zip, en/anomaly\.json: not JSON in UTF-8"),
        ({"en/anomaly.json": "[]"}, r"dataset\.zip, en/anomaly\.json holds no records"),
        (
            {"en/anomaly.json": json.dumps([{**ROW, "output": "maybe"}])},
            r"record 1, field 'output': 'maybe' is neither",
        ),
    ],
)
def test_a_damaged_archive(tmp_path, members, message):
    archive(tmp_path / "dataset.zip", members)
    with pytest.raises(DataError, match=message):
        find_task("logeval-anomaly-en").load(tmp_path)


def test_what_is_no_archive(tmp_path):
    (tmp_path / "dataset.zip").write_bytes(b"PK\x03\x04cut")
    with pytest.raises(
        DataError, match=r"dataset\.zip: not a ZIP archive .*; take a fresh copy|dataset\.zip: not a ZIP"
    ):
        find_task("logeval-summary-zh").load(tmp_path)


def test_log_lines_are_asked_without_label_number_and_template():
    rows = (OWN / "loghub/Own/Own_2k.log_structured.csv").read_text().splitlines()
    item = find_task("log-anomaly").load(OWN)[3]
    _, label, date, component, level, content, event, _ = rows[4].split(",")
    assert item.prompt.endswith(f"Log: {date} {component} {level} {content}")
    assert label not in item.prompt
    assert (item.id, item.gold) == ("log-anomaly-Own_2k-00004", "abnormal")
    assert item.meta["cluster"] == f"Own_2k.log_structured.csv:{event}"


def test_files_of_logs_that_cannot_be_used(tmp_path):
    with pytest.raises(DataUnavailable, match=r"log-parsing: there is no file \*_structured\.csv below"):
        find_task("log-parsing").load(tmp_path)
    path = tmp_path / "One_2k.log_structured.csv"
    path.write_text(CSV)
    with pytest.raises(DataError, match=r"all 1 lines are normal, so nothing can be told apart"):
        find_task("log-anomaly").load(tmp_path)
    path.write_text(CSV.replace("Label", "Day"))
    with pytest.raises(DataUnavailable, match=r"no file \*_structured\.csv below .* has a column 'Label'"):
        find_task("log-anomaly").load(tmp_path)
    path.write_text(CSV.replace(",EventTemplate", ""))
    with pytest.raises(DataError, match=r"has no single column 'EventTemplate'"):
        find_task("log-parsing").load(tmp_path)


@pytest.mark.parametrize("code", ["901110015", "090111", "coffee", None])
def test_a_tariff_code_of_another_length_is_refused(tmp_path, code):
    (tmp_path / "test_data.jsonl").write_text(json.dumps({"product_name": "Coffee", "hs_code": code}) + "\n")
    with pytest.raises(DataError, match=r"test_data\.jsonl, record 1, field 'hs_code': .* is no code of 10 digits"):
        hscodecomp.load(tmp_path)


def test_a_product_is_told_without_its_code_and_pictures(tmp_path):
    row = {"task_id": 7, "product_name": "Coffee", "hs_code": "0901.11.00.15", "image_url": "https://example.org/a"}
    (tmp_path / "test_data.jsonl").write_text(json.dumps(row) + "\n")
    (item,) = hscodecomp.load(tmp_path)
    assert item.gold == "0901110015"
    assert item.prompt.endswith("\n\nproduct name: Coffee")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("SEVERITY: HIGH", "it names no threat"),
        ("THREAT_TYPE: XSS", "it names no severity"),
        ("", "the text is empty"),
    ],
)
def test_an_alert_without_a_field(tmp_path, output, message):
    row = {"instruction": "What?", "input": "GET /", "output": output}
    (tmp_path / "soc_eval.json").write_text(json.dumps([row]))
    with pytest.raises(DataError, match=rf"soc_eval\.json, record 1, field 'output': {message}"):
        soc_bench.load(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"version": "1.1"}, r"must hold an object with a list under 'data'"),
        ({"data": [{"title": "T", "paragraphs": {}}]}, r"record 1, field 'paragraphs': it is no list"),
        ({"data": [{"title": "T", "paragraphs": [{"context": "C", "qas": [{"id": "1", "question": "Q"}]}]}]},
         r"'qas', record 1, field 'answers': the field is missing"),
    ],
)  # fmt: skip
def test_a_damaged_squad_file(tmp_path: Path, data, message):
    (tmp_path / "dev-v1.1.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=message):
        find_task("squad").load(tmp_path)


@pytest.mark.parametrize(("usual", "odd"), [("-", "FATAL"), ("Normal", "Anomaly"), ("0", "1")])
def test_labels_of_normal_lines_go_by_several_names(tmp_path, usual, odd):
    rows = f"1,{usual},door 7 opened,E1,door <*> opened\n2,{odd},door lost,E2,door lost\n"
    (tmp_path / "Door_2k.log_structured.csv").write_text(CSV.partition("\n")[0] + "\n" + rows)
    assert [item.gold for item in find_task("log-anomaly").load(tmp_path)] == ["normal", "abnormal"]
