"""`slmsec plot`: each picture of the report as a file of its own."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from benchmark_runs import content, plain
from reportpages import two_models

from pytest_slmsec.cli import plot
from pytest_slmsec.cli.main import main
from pytest_slmsec.reports.page.pictures import PICTURES


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    choices = two_models()
    for group in choices["slmsec"]["groups"]:
        group["items"]["logprobs"] = [[0.0, -1.0]] * 120
        group["items"]["parts"] = [{"p_correct": 0.7310585786300049}] * 120
    (tmp_path / "run.json").write_text(json.dumps(choices))
    (tmp_path / "old.json").write_text(json.dumps(content(plain("1110" * 20))))
    return tmp_path


def test_the_names_on_the_command_line_are_all_there_are():
    assert tuple(PICTURES) == plot.NAMES


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_is_well_formed_and_says_its_numbers(here, capsys, name):
    assert main(["plot", "old.json", "run.json", name, "-o", "out/x.svg"]) == 0
    root = ElementTree.parse(here / "out" / "x.svg").getroot()
    title, description = root[:2]
    assert (title.tag, description.tag) == ("{http://www.w3.org/2000/svg}title", "{http://www.w3.org/2000/svg}desc")
    assert any(letter.isdigit() for letter in description.text)
    assert "x.svg: phi3, phi3-gptq4." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gate", "name base and candidate with FILE::MODEL"),
        ("flips", "hold no candidate with its base"),
        ("reliability", "nothing says how sure it was"),
        ("history", "Each model has one run here"),
    ],
)
def test_what_the_runs_do_not_hold_is_one_sentence(here, capsys, name, message):
    assert main(["plot", "old.json", name]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
