"""Names of recorded answers: short ones, and longer ones where two are equal."""

import pytest

from pytest_slmsec.core.errors import UnknownModelError
from pytest_slmsec.core.model_names import parse_model, split_names
from pytest_slmsec.core.recorded_names import distinct

REGISTRY = {"phi3": {"location": "hf:microsoft/Phi-3-mini-4k-instruct"}}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Recorded runs in folders of like names, and one with a comma."""
    monkeypatch.chdir(tmp_path)
    for folder in ("a/phi3/bare", "b/phi3/bare", "a/phi3/gptq4", "x,y"):
        path = tmp_path / folder
        path.mkdir(parents=True)
        (path / "cti-mcq.outputs.json").write_text("[]")
    return tmp_path


def parse(name):
    return parse_model(name, REGISTRY, ())


def test_recorded_answers_go_by_a_short_name(runs):
    folder = parse("replay:a/phi3/bare")
    assert (folder.name, folder.base, folder.quant) == ("replay:phi3/bare", "replay:phi3/bare", None)
    assert (folder.source, folder.location, folder.member) == ("replay", "a/phi3/bare", None)
    one = parse("replay:a/phi3/bare/cti-mcq.outputs.json::LLAMA3-8B")
    assert (one.name, one.member) == ("replay:LLAMA3-8B", "LLAMA3-8B")
    assert one.names == ("replay:LLAMA3-8B", "replay:a/phi3/bare/cti-mcq.outputs.json::LLAMA3-8B")


def test_equal_short_names_become_longer(runs):
    specs = distinct(map(parse, ("replay:a/phi3/bare", "replay:b/phi3/bare", "replay:a/phi3/gptq4", "phi3", "phi3")))
    assert [spec.name for spec in specs] == ["replay:a/phi3/bare", "replay:b/phi3/bare", "replay:phi3/gptq4", "phi3"]
    named = distinct(map(parse, ("replay:a/phi3/bare::m", "replay:b/phi3/bare::m")))
    assert [spec.name for spec in named] == ["replay:a/phi3/bare::m", "replay:b/phi3/bare::m"]


def test_a_comma_in_a_path_of_recorded_answers(runs):
    assert split_names(["replay:x,y", "replay:x,y::m", "replay:a/phi3/bare,phi3"]) == [
        "replay:x,y", "replay:x,y::m", "replay:a/phi3/bare", "phi3",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["replay:", "replay:nowhere", "replay:nowhere/run.jsonl::m"])
def test_recorded_answers_that_are_not_there(name):
    with pytest.raises(UnknownModelError, match=r"there is no file or folder .* of recorded answers"):
        parse(name)
