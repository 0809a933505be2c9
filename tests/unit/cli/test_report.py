"""`slmsec report`: the page about stored runs, and what it says where it cannot be made."""

import json
import subprocess
import sys

import pytest
from benchmark_runs import content, plain
from reportpages import parsed, two_models

from pytest_slmsec.cli.main import main
from pytest_slmsec.cli.read_report import read_size
from pytest_slmsec.core.errors import UsageError


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    (tmp_path / "run.json").write_text(json.dumps(two_models()))
    return tmp_path


def verdicts(here, capsys, *args):
    assert main(["report", *args]) == 0
    return capsys.readouterr().out, parsed((here / "report.html").read_text("utf-8"))


def test_the_verdict_is_that_of_compare(here, capsys):
    said, root = verdicts(here, capsys, "run.json")
    assert main(["compare", "run.json::phi3", "run.json::phi3-gptq4", "--json", "gate.json"]) == 1
    (judgement,) = json.loads((here / "gate.json").read_text())["judgements"]
    assert f"phi3-gptq4 {judgement['verdict']}" in said
    assert f"{judgement['verdict']} phi3-gptq4" in next(root.all("header")).text


def test_two_files_and_a_chosen_model(here, capsys):
    (here / "base.json").write_text(json.dumps(content(plain("1110" * 30))))
    said, _ = verdicts(here, capsys, "base.json", "run.json::phi3-gptq4", "-o", "report.html")
    assert "phi3-gptq4 FAIL" in said


def test_the_newest_run_of_a_model_counts(here, capsys):
    old, new = content(plain("1110" * 30)), content(plain("1111" * 30))
    (here / "old.json").write_text(json.dumps(old | {"datetime": "2026-01-01T00:00:00"}))
    (here / "new.json").write_text(json.dumps(new | {"datetime": "2026-02-01T00:00:00"}))
    _, root = verdicts(here, capsys, "new.json", "old.json")
    assert "100.0 %" in root.text


def test_a_prompt_comes_from_the_transcript(here, capsys):
    digest = two_models()["slmsec"]["groups"][0]["items"]["sha256"][0] + "0" * 48
    line = {"group": "cti-mcq", "model": "phi3", "item": "cti-mcq-00001", "prompt": "What is <b>DNS</b>?",
            "score": None, "item_sha256": digest}  # fmt: skip
    (here / "t.jsonl").write_text(json.dumps(line) + "\n")
    _, root = verdicts(here, capsys, "run.json", "--transcript=t.jsonl", "--texts=all")
    assert "What is <b>DNS</b>?" in [one.text for one in root.all("pre")]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing.json"], "There is no file nothing.json"),
        (["run.json::phi4"], "run.json holds no model 'phi4'; it holds phi3, phi3-gptq4."),
        (["run.json", "--size=big"], "--size big: write bytes, such as 500k or 2M."),
        (["run.json", "--transcript=run.json"], "this is no file of --slmsec-transcript"),
        (["run.json", "-o", "run.json/x.html"], "cannot be written"),
        (["empty.json"], "holds no complete benchmark"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(here, capsys, args, message):
    (here / "empty.json").write_text(json.dumps(content()))
    assert main(["report", *args]) == 2
    assert message in capsys.readouterr().err


def test_runs_that_have_nothing_in_common_are_shown_and_not_judged(here, capsys):
    other = plain("10" * 10, benchmark="cti-rcm", model="phi3-gptq4", quant="gptq4")
    (here / "run.json").write_text(json.dumps(content(plain("10" * 10), other)))
    said, root = verdicts(here, capsys, "run.json")
    assert "nothing judged" in said
    assert "phi3-gptq4 could not be judged against phi3: There is nothing to compare" in root.text


@pytest.mark.parametrize(("text", "size"), [("500", 500), ("500k", 512_000), ("2M", 2 << 20), ("1.5 MiB", 1_572_864)])
def test_sizes(text, size):
    assert read_size(text) == size


def test_no_size():
    with pytest.raises(UsageError, match="write bytes"):
        read_size("2 fortnights")


def test_neither_torch_nor_a_plotting_library_is_imported(here):
    code = ("import sys; from pytest_slmsec.cli.main import main; main(['report', 'run.json']); "
            "print({'torch', 'transformers', 'matplotlib', 'plotly', 'jinja2'} & set(sys.modules))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.endswith("set()\n")
