"""CTIBench tasks over small files in the published formats."""

import json

import pytest

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.core.items import Choose, Generate, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.ctibench import SYSTEM, TASKS

BY_NAME = {task.name: task for task in TASKS}
MCQ = """URL\tQuestion\tOption A\tOption B\tOption C\tOption D\tPrompt\tGT
u1\tQ1\tred\tblue\tgreen\t\tWhich  colour? A) red B) blue C) green D) \tB
u2\tQ2\tone\ttwo\tthree\tfour\tHow many?\tb
"""
RCM = "URL\tDescription\tPrompt\tGT\nu\td\tSame text\tCWE-79\nu\td\tSame text\tCWE-79\n"
VSP = "URL\tDescription\tPrompt\tGT\nu\td\tRate it\tCVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\n"
ATE = "URL\tPlatform\tDescription\tPrompt\tGT\nu\tEnterprise\td\tMap it\tT1059, T1071\n"
TAA = {
    "cti-taa.tsv": "URL\tText\tPrompt\nu\tx\tWho was it?\nu\ty\tAnd here?\n",
    "cti-taa-responses.tsv": "GT\tmodel\nRed Fox  \tX\nGrey Owl\tVixen\n",
    "alias_dict.json": json.dumps({"Red Fox": ["vixen"], "Grey Owl": ["nan"]}),
    "related_dict.json": json.dumps({"Red Fox": ["Grey Owl"]}),
}


def load(folder, name, text):
    file = "cti-mcq.tsv" if name.startswith("cti-mcq") else f"{name}.tsv"
    (folder / file).write_text(text, encoding="utf-8", newline="")
    return BY_NAME[name].load(folder)


def load_taa(folder, **changed):
    for name, text in (TAA | changed).items():
        (folder / name).write_text(text, encoding="utf-8")
    return BY_NAME["cti-taa"].load(folder)


def test_the_eight_tasks_and_their_published_sizes():
    assert {task.name: task.n_items for task in TASKS} == {
        "cti-mcq": 2500, "cti-mcq-choice": 2500, "cti-mcq-cloze": 2500, "cti-rcm": 1000, "cti-rcm-2021": 1000,
        "cti-vsp": 1000, "cti-taa": 50, "cti-ate": 60,
    }  # fmt: skip
    assert [task.name for task in TASKS if task.hub is None] == ["cti-rcm-2021", "cti-taa"]
    assert len({hash(task) for task in TASKS}) == 8


def test_a_multiple_choice_item_is_as_published(tmp_path):
    first, second = load(tmp_path, "cti-mcq", MCQ)
    assert (first.id, second.id) == ("cti-mcq-00001", "cti-mcq-00002")
    assert first.prompt == "Which  colour? A) red B) blue C) green D) "
    assert (first.system, first.gold, first.choices) == (SYSTEM, "B", ())
    assert first.meta == {"url": "u1", "options": ["red", "blue", "green", ""]}
    assert second.gold == "B"
    assert second.origin == "cti-mcq.tsv row 2"


def test_the_same_rows_by_choice_compare_the_letters(tmp_path):
    item = load(tmp_path, "cti-mcq-choice", MCQ)[0]
    task = BY_NAME["cti-mcq-choice"]
    assert item.id == "cti-mcq-choice-00001"
    assert item.labels == item.choices == ("A", "B", "C", "D")
    assert isinstance(task.request(item, Mode.STRICT), Choose)
    assert task.scorer(item, Output(choice_logprobs=(-3.0, -1.0, -2.0, -4.0)), Mode.STRICT).correct


def test_the_same_rows_as_cloze_compare_the_texts_of_the_options_by_character(tmp_path):
    item = load(tmp_path, "cti-mcq-cloze", MCQ)[0]
    task = BY_NAME["cti-mcq-cloze"]
    assert item.prompt == "Question: Q1\nAnswer:"
    assert (item.choices, item.labels) == ((" red", " blue", " green"), ("A", "B", "C"))  # D is an empty cell
    assert (item.system, item.raw, item.gold) == (None, True, "B")
    assert isinstance(task.request(item, Mode.STRICT), Choose)
    score = task.scorer(item, Output(choice_logprobs=(-6.0, -6.4, -10.0)), Mode.STRICT)
    assert (score.extracted, score.correct) == ("B", True)  # -2.0, -1.6 and -2.0 a character
    assert score.parts["margin"] == pytest.approx(0.4)
    assert not task.scorer(item, Output(choice_logprobs=(-3.0, -6.4, -10.0)), Mode.STRICT).correct


def test_a_cloze_item_whose_right_option_is_empty_is_in_no_denominator(tmp_path):
    item = load(tmp_path, "cti-mcq-cloze", MCQ.replace("\tB\n", "\tD\n", 1))[0]
    score = BY_NAME["cti-mcq-cloze"].scorer(item, Output(choice_logprobs=(-6.0, -6.4, -10.0)), Mode.STRICT)
    assert (score.correct, score.extracted, score.parts["unscored"]) == (False, "B", 1.0)


def test_limits_of_new_tokens_by_mode(tmp_path):
    item = load(tmp_path, "cti-mcq", MCQ)[0]
    limits = [BY_NAME["cti-mcq"].request(item, mode) for mode in (Mode.STRICT, Mode.OFFICIAL)]
    assert [limit.max_new_tokens for limit in limits if isinstance(limit, Generate)] == [256, 2048]


def test_equal_prompts_have_ids_of_their_own(tmp_path):
    assert [item.id for item in load(tmp_path, "cti-rcm", RCM)] == ["cti-rcm-00001", "cti-rcm-00002"]


def test_hub_rows_give_the_same_items_as_the_file(tmp_path):
    from_file = load(tmp_path, "cti-mcq", MCQ)
    header, *lines = [line.split("\t") for line in MCQ.splitlines()]
    rows = [{name: cell or None for name, cell in zip(header, line, strict=True)} for line in lines]
    from_hub = BY_NAME["cti-mcq"].from_rows(rows)
    assert [(i.id, i.prompt, i.gold, i.meta) for i in from_hub] == [(i.id, i.prompt, i.gold, i.meta) for i in from_file]


def test_published_layout_and_flat_folder(tmp_path):
    place = tmp_path / "cti-bench" / "data"
    place.mkdir(parents=True)
    (place / "cti-ate.tsv").write_text(ATE)
    assert BY_NAME["cti-ate"].load(tmp_path)[0].gold == "T1059, T1071"
    assert BY_NAME["cti-ate"].load(place)[0].meta["platform"] == "Enterprise"


def test_threat_actor_items_carry_the_names_that_count(tmp_path):
    fox, owl = load_taa(tmp_path)
    assert (fox.id, fox.gold, fox.prompt) == ("cti-taa-00001", "Red Fox", "Who was it?")
    assert fox.meta["strict"] == {"correct": ["red fox", "vixen"], "plausible": ["grey owl", "red fox", "vixen"]}
    assert owl.meta["official"]["correct"] == ["grey owl", "nan"]
    scorer = BY_NAME["cti-taa"].scorer
    assert scorer(fox, Output(text="I attribute this to Vixen."), Mode.STRICT).correct
    assert scorer(owl, Output(text="Vixen"), Mode.STRICT).parts["plausible"] == 1.0


@pytest.mark.parametrize("task", [task.name for task in TASKS])
def test_missing_files_say_what_to_do(tmp_path, task):
    with pytest.raises(DataUnavailable, match=r"there is no .*cti-.*\.tsv.*--slmsec-data=DIR"):
        BY_NAME[task].load(tmp_path)


@pytest.mark.parametrize(
    ("task", "text", "message"),
    [
        ("cti-mcq", MCQ.replace("\tb\n", "\tE\n"), r"cti-mcq\.tsv, row 2, column 'GT': 'E' is not one of the options"),
        ("cti-mcq", MCQ.replace("\tb\n", "\t\n"), r"row 2, column 'GT': '' is not one of"),
        ("cti-mcq", MCQ.replace("How many?", " "), r"row 2, column 'Prompt': the prompt is empty; fetch"),
        ("cti-mcq", MCQ.replace("Option C", "Choice C"), r"has no column 'Option C'"),
        ("cti-mcq", MCQ[:-14], r"row 2 has too few cells"),
        ("cti-rcm", RCM.replace("CWE-79\nu", "79\nu"), r"cti-rcm\.tsv, row 1, column 'GT': '79' is not a weakness id"),
        ("cti-rcm-2021", RCM.replace("\tPrompt", "\tText"), r"has no column 'Prompt'"),
        ("cti-vsp", VSP.replace("/A:H", ""), r"row 1, column 'GT': 'CVSS:3.1/.*' is not a CVSS v3 vector"),
        ("cti-ate", ATE.replace("T1071", "T71"), r"row 1, column 'GT': 'T1059, T71' is not a list of technique ids"),
        ("cti-ate", "", r"cti-ate\.tsv is empty"),
    ],
)
def test_bad_input_names_file_row_column_and_remedy(tmp_path, task, text, message):
    with pytest.raises(DataError, match=message):
        load(tmp_path, task, text)


def test_a_hub_row_without_a_column_is_an_error():
    with pytest.raises(DataError, match=r"cti-rcm rows, row 1, column 'GT': the column is missing"):
        BY_NAME["cti-rcm"].from_rows([{"Prompt": "p"}])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("cti-taa-responses.tsv", "GT\nRed Fox\n", r"cti-taa\.tsv has 2 rows and .*responses\.tsv, column 'GT', has 1"),
        ("cti-taa-responses.tsv", "GT\nRed Fox\n \n", r"responses\.tsv, row 2, column 'GT': ' ' is not the name"),
        ("cti-taa-responses.tsv", "Model\nX\nY\n", r"has no column 'GT'"),
        ("alias_dict.json", "{", r"alias_dict\.json: not JSON in UTF-8 \(.*line 1"),
        ("alias_dict.json", "[]", r"alias_dict\.json, 'the whole file': not a list of names"),
        ("related_dict.json", '{"Red Fox": [1]}', r"related_dict\.json, 'Red Fox': not a list of names"),
    ],
)
def test_bad_threat_actor_files(tmp_path, file, text, message):
    with pytest.raises(DataError, match=message):
        load_taa(tmp_path, **{file: text})


@pytest.mark.parametrize("file", TAA)
def test_threat_actors_need_all_four_files(tmp_path, file):
    load_taa(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(DataUnavailable, match=file.replace(".", r"\.")):
        BY_NAME["cti-taa"].load(tmp_path)
