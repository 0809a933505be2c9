"""Runs out of stored files: every kind of damage has one clear error."""

import json

import pytest
from benchmark_runs import content, plain, run

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.gates.records.saved_runs import read_runs, stored_path


def stored(tmp_path, what, name="run.json"):
    path = tmp_path / name
    path.write_text(what if isinstance(what, str) else json.dumps(what))
    return path


def test_every_arm_of_a_file_is_read(tmp_path):
    path = stored(tmp_path, content(plain("110"), plain("100", model="phi3-gptq4", quant="gptq4")))
    base, candidate = read_runs(path)
    assert (base.name, base.n, base.where) == ("cti-mcq on phi3", 3, str(path))
    assert list(candidate.values) == [1.0, 0.0, 0.0]
    assert list(base.flags("correct")) == [True, True, False]
    assert base.machine["cpu"] == "a cpu"


def test_items_asked_twice_have_keys_of_their_own():
    twin = run("101")
    twin.columns["sha256"][2] = twin.columns["sha256"][0]
    assert len(set(twin.identities())) == 3
    assert twin.identities()[2][1] == 1


def test_a_part_that_one_score_lacks_is_none():
    one = run("10")
    assert one.part("p_correct") is None
    one.columns["parts"][:] = [{"p_correct": 0.75}, {"p_correct": 0.5}]
    assert list(one.part("p_correct")) == [0.75, 0.5]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f, g: g.pop("items"), "has no answers, only sums"),
        (lambda f, g: f.pop("scorer"), "lacks scorer: it was written in an older format"),
        (lambda f, g: g["items"].pop("sha256"), "lacks sha256: it was written in an older format"),
        (lambda f, g: g["items"]["text"].pop(), "columns have different lengths"),
        (lambda f, g: f.update(n_expected=4), "has 3 of 4 items; a part is never compared"),
        (lambda f, g: g["items"]["item"].__setitem__(1, "cti-mcq-00001"), "the item cti-mcq-00001 twice"),
        (lambda f, g: g["items"]["value"].__setitem__(1, float("nan")), "item cti-mcq-00002: score is nan, not a fin"),
        (lambda f, g: g["items"]["parts"].__setitem__(0, {"p_correct": None}), "p_correct is None, not a finite"),
        (lambda f, g: g["items"]["correct"].__setitem__(0, 1), "'correct' is neither true nor false"),
        (lambda f, g: g["items"]["correct"].__setitem__(2, True), "column 'correct' and correct_bits disagree"),
        (lambda f, g: f.update(parsed_bits="110"), "column 'parsed' and parsed_bits disagree"),
        (lambda f, g: g["items"]["value"].__setitem__(2, 1.0), "item cti-mcq-00003 has a score that its being right"),
        (lambda f, g: f.update(metric="MAD", score=1.25, scale=10.0), "its scores average 0.666667 and not 1.25"),
    ],
)  # fmt: skip
def test_damage_is_named(damage, message):
    facts, group = plain("110")
    damage(facts, group)
    with pytest.raises(CompareError) as caught:
        run_from_plain(facts, group, {}, "run.json")
    assert message in str(caught.value)
    assert str(caught.value).startswith("run.json: cti-mcq on phi3")


def test_zero_items():
    facts, group = plain("")
    with pytest.raises(CompareError, match="has no items: there is nothing to compare"):
        run_from_plain(facts, group, {}, "run.json")


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ('{"benchmarks": [', "is no valid JSON, or cut off"),
        ([1, 2], "is no file of pytest-benchmark"),
        ({"benchmarks": []}, "holds no answers of models"),
        ({"benchmarks": [], "slmsec": {"format": 0}}, "has the record format 0, this version reads 1"),
        ({"benchmarks": [], "slmsec": {"format": 1, "groups": []}}, "holds no complete benchmark"),
        ({"benchmarks": [], "slmsec": {"format": 1, "groups": [3]}}, "a group of 'slmsec' is no table"),
        ({"benchmarks": [], "slmsec": {"format": 1, "groups": [plain("1")[1]]}}, "has answers but no latency entry"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, what, message):
    with pytest.raises(CompareError) as caught:
        read_runs(stored(tmp_path, what))
    assert message in str(caught.value)
    assert "run.json" in str(caught.value)


def test_a_run_is_found_by_path_or_by_number(tmp_path):
    storage = tmp_path / ".benchmarks" / "Linux-64bit"
    storage.mkdir(parents=True)
    first = stored(storage, "{}", "0001_abc.json")
    assert stored_path("0001", tmp_path) == first
    assert stored_path(".benchmarks/Linux-64bit/0001_abc.json", tmp_path) == first
    with pytest.raises(CompareError, match="holds no run 0002"):
        stored_path("0002", tmp_path)
    with pytest.raises(CompareError, match=r"There is no file mine\.json"):
        stored_path("mine.json", tmp_path)
    stored(storage, "{}", "0001_def.json")
    with pytest.raises(CompareError, match="holds 2 runs numbered 0001: name one of the files"):
        stored_path("0001", tmp_path)
