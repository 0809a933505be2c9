"""Local files of a task: where they may stand, and one sentence for each way in which they may be damaged."""

import json

import pytest

from pytest_slmsec.core.errors import DataError, DataUnavailable
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find


def dataset(folder):
    return find(find_task(folder.name), str(folder.root), False)


def test_documents_are_counted_without_the_package(folder):
    made = folder("winogrande")
    assert dataset(made).ids == [f"winogrande-{row:05d}" for row in range(1, 17)]
    assert dataset(made).label == "winogrande@16rows"


@pytest.mark.parametrize("place", ["", "data", "winogrande_xl"])
@pytest.mark.parametrize("form", ["json", "parquet", "parts"])
def test_other_places_and_forms_hold_the_same_documents(folder, place, form):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    made = folder("winogrande")
    expected, rows = find(find_task("winogrande"), "fixture", True).items, made.rows("validation")
    made.path("validation").unlink()
    home = made.root / made.name / place
    home.mkdir(exist_ok=True)
    write(home, form, rows)
    found = dataset(made)
    assert len(found.ids) == 16
    assert [(item.contexts, item.choices, item.gold) for item in found.items] == [
        (item.contexts, item.choices, item.gold) for item in expected
    ]


def write(home, form, rows):
    import pyarrow
    from pyarrow import parquet

    if form == "json":
        (home / "validation.json").write_text(json.dumps(rows), "utf-8")
    elif form == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(rows), home / "validation.parquet")
    else:
        for part in (0, 1):
            table = pyarrow.Table.from_pylist(rows[8 * part : 8 * part + 8])
            parquet.write_table(table, home / f"validation-{part:05d}-of-00002.parquet")


def test_a_missing_folder_says_where_the_rows_belong(tmp_path):
    with pytest.raises(DataUnavailable, match=r"arc_challenge/test\.jsonl \(nor \.json or \.parquet\).*--slmsec-data"):
        _ = find(find_task("arc_challenge"), str(tmp_path), False).ids


def test_a_missing_split_of_examples_is_named(folder):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    made = folder("gsm8k")
    made.path("train").unlink()
    with pytest.raises(DataUnavailable, match=r"gsm8k: there is no .*gsm8k/train\.jsonl"):
        _ = dataset(made).items


@pytest.mark.parametrize(
    ("task", "split", "fields", "says"),
    [
        ("arc_challenge", "test", {"question": None}, r"test\.jsonl, record 3, field 'question': the field is missing"),
        ("arc_challenge", "test", {"choices": ["a", "b"]}, r"record 3, field 'choices': .* is no object with fields"),
        ("winogrande", "validation", {"answer": 2}, r"record 3, field 'answer': '2' is no text"),
        ("mmlu_elementary_mathematics", "test", {"answer": True}, r"field 'answer': 'True' is no whole number"),
        ("hellaswag", "validation", {"endings": "one"}, r"field 'endings': 'one' is no list"),
        ("gsm8k", "test", {"answer": float("nan")}, r"field 'answer': 'nan' is no text"),
        ("truthfulqa_mc2", "validation", {"mc2_targets": None}, r"field 'mc2_targets': the field is missing"),
    ],
)
def test_a_damaged_field_is_named_at_collection(folder, task, split, fields, says):
    made = folder(task)
    made.change(split, 3, **fields)
    with pytest.raises(DataError, match=says):
        _ = dataset(made).ids


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "holds no records"),
        (b'{"question": "cut', r"line 1: not JSON .*cut off"),
        (b"[1, 2]\n", "record 1: .* is no object with fields"),
        (b'{"question": "\xff"}', "not UTF-8"),
    ],
)
def test_a_damaged_file_is_one_sentence(folder, content, says):
    made = folder("gsm8k")
    made.path("test").write_bytes(content)
    with pytest.raises(DataError, match=says):
        _ = dataset(made).ids


def test_a_damaged_parquet_file_is_one_sentence(folder):
    made = folder("gsm8k")
    made.path("test").rename(made.path("test").with_suffix(".parquet"))
    with pytest.raises(DataError, match=r"test\.parquet: not a Parquet file"):
        _ = dataset(made).ids
