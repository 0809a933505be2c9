"""`pytest_slmsec.load`: what stored runs hold, as plain rows and pictures."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from benchmark_runs import content, plain
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reportpages import two_models

import pytest_slmsec
from pytest_slmsec.core.errors import CompareError, SlmsecError, UsageError
from pytest_slmsec.gates.records.benchmark_run import COLUMNS


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    (tmp_path / "run.json").write_text(json.dumps(two_models()))
    return tmp_path


def test_each_answer_is_a_row_with_the_columns_of_the_record(here):
    rows = pytest_slmsec.load("run.json").items
    assert len(rows) == 2 * 120
    first = rows[120]
    assert list(first)[:4] == ["benchmark", "model", "item", "category"]
    assert {key: first[key] for key in ("benchmark", "model", "item", "category", "text", "correct", "value")} == {
        "benchmark": "cti-mcq", "model": "phi3-gptq4", "item": "cti-mcq-00001", "category": None, "text": "B",
        "correct": False, "value": 0.0,
    }  # fmt: skip


def test_a_category_stands_in_its_row(here):
    facts, group = plain("10")
    group["items"]["category"] = ["DNS", None]
    (here / "run.json").write_text(json.dumps(content((facts, group))))
    assert [row["category"] for row in pytest_slmsec.load(here / "run.json").items] == ["DNS", None]


def test_scores_costs_and_models_are_rows(here):
    run = pytest_slmsec.load("run.json")
    assert [(row["model"], row["score"]) for row in run.scores] == [("phi3", 0.75), ("phi3-gptq4", 0.625)]
    assert [row["decode_tokens_per_s"] for row in run.costs] == [40.0, 40.0]
    assert [(row["model"], row["mean"]) for row in run.models] == [("phi3", 0.75), ("phi3-gptq4", 0.625)]
    assert repr(run) == "<stored runs: 2 models, 1 benchmark, 240 answers>"


def test_of_two_runs_the_newest_counts_and_one_model_can_be_chosen(here):
    old = content(plain("0000" * 30)) | {"datetime": "2026-01-01T00:00:00"}
    new = two_models() | {"datetime": "2026-02-01T00:00:00"}
    (here / "old.json").write_text(json.dumps(old))
    (here / "new.json").write_text(json.dumps(new))
    assert [row["score"] for row in pytest_slmsec.load("new.json", "old.json").scores] == [0.75, 0.625]
    assert [row["model"] for row in pytest_slmsec.load("new.json::phi3-gptq4").scores] == ["phi3-gptq4"]


@pytest.mark.parametrize("name", ["forest", "gate"])
def test_a_notebook_draws_a_picture(here, name):
    svg = pytest_slmsec.load("run.json").plot(name)._repr_svg_()
    assert type(svg) is str
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"


VALUES = st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3)
JUNK = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
OPTIONAL = ("category", "cluster", "thought", "thought_tokens", "choice_scores", "replies", "prompt_words",
            "trained_on", "first_token_s", "pair_verdicts", "variant", "constant")  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.sampled_from([*COLUMNS, *OPTIONAL]), junk=JUNK, everywhere=st.booleans())
def test_a_damaged_column_is_one_sentence_or_does_no_harm(here, key, junk, everywhere):
    content = two_models("1110" * 3, "0111" * 3)
    content["slmsec"]["groups"][1]["items"][key] = [junk] * 12 if everywhere else junk
    (here / "damaged.json").write_text(json.dumps(content))
    try:
        run = pytest_slmsec.load("damaged.json")
        rows = [run.items, run.scores, run.costs, run.models]
        assert run.plot("forest")
        assert len(run.distances) == 0
    except SlmsecError:
        return
    assert list(map(len, rows)) == [24, 2, 2, 2]


def test_a_column_that_is_too_short_is_named(here):
    content = two_models()
    content["slmsec"]["groups"][1]["items"]["category"] = ["DNS"] * 119
    (here / "damaged.json").write_text(json.dumps(content))
    said = "cti-mcq on phi3-gptq4 is damaged: its column 'category' does not hold a value for each of 120 items"
    with pytest.raises(CompareError, match=said):
        pytest_slmsec.load("damaged.json")


def test_what_cannot_be_read_is_one_sentence(here):
    with pytest.raises(CompareError, match=r"There is no file none\.json"):
        pytest_slmsec.load("none.json")
    with pytest.raises(UsageError, match="No run is named"):
        pytest_slmsec.load()
    with pytest.raises(UsageError, match="There is no picture 'pie'; there are forest, gate"):
        pytest_slmsec.load("run.json").plot("pie")
