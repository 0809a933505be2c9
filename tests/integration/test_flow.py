"""slmsec flow: the embedded model learns log lines and forgets some of what it knew, which the gate shows."""

import json
import shutil
from pathlib import Path

import pytest

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.identity import sha256_file
from pytest_slmsec.core.paths import fixtures_dir
from pytest_slmsec.finetune.recipe import read_recipe

ROOT = Path(__file__).parent.parent.parent
RECIPE = fixtures_dir() / "finetune" / "syslog.toml"


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A working directory with the suite, and a cache of its own."""
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLMSEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SLMSEC_DATA", raising=False)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return tmp_path


def scores(run):
    """The score of each model on each benchmark of a stored run."""
    entries = json.loads(run.read_text())["benchmarks"]
    return {(one["params"]["benchmark"], one["params"]["model"]): one["extra_info"]["score"] for one in entries
            if one["extra_info"].get("score") is not None}  # fmt: skip


def test_the_flow_ends_with_a_new_skill_and_an_alarm_and_is_made_once(home, capfd):
    assert main(["flow", str(RECIPE)]) == 1
    said = capfd.readouterr().out
    folder = home / "syslog.flow"
    (run,) = folder.glob("run-*.json")
    (trained,), (merged,) = folder.glob("trained-*"), folder.glob("merged-*")
    tuned, plain = f"tinysec+./syslog.flow/{trained.name}", f"./syslog.flow/{merged.name}"
    found = scores(run)
    for model in (tuned, plain, f"{plain}-nf4"):
        assert found["qa-held-out", model] >= 0.95
        assert found["cti-rcm@fixture", model] < found["cti-rcm@fixture", "tinysec"]
    assert found["qa-held-out", "tinysec"] < 0.05
    assert "FAIL          " + f"{tuned} against tinysec" in said
    assert "FLOW: FAIL; trained now" in said
    record = json.loads((folder / "flow.json").read_text())
    assert [(step["step"], step["made"]) for step in record["steps"]] == [
        ("fine-tune", True), ("merge", True), ("nf4", True), ("benchmarks", True),
    ]  # fmt: skip
    verdicts = {(one["base"], one["candidate"]): one["verdict"] for one in record["verdicts"]}
    assert verdicts["tinysec", tuned] == "FAIL"
    assert set(verdicts) == {("tinysec", tuned), (tuned, plain), ("tinysec", plain), (tuned, f"{plain}-nf4"),
                             ("tinysec", f"{plain}-nf4")}  # fmt: skip

    before = {path: sha256_file(path) for path in folder.rglob("*") if path.is_file() and path.name != "flow.json"}
    assert main(["flow", str(RECIPE)]) == 1
    said = capfd.readouterr().out
    assert "FLOW: FAIL; nothing was trained" in said
    again = json.loads((folder / "flow.json").read_text())
    assert not any(step["made"] for step in again["steps"])
    assert [step["digest"] for step in again["steps"]] == [step["digest"] for step in record["steps"]]
    assert {path: sha256_file(path) for path in before} == before


def test_rows_that_are_asked_are_no_training_data():
    recipe = read_recipe(RECIPE)
    trained, asked = ([json.loads(line) for line in path.read_text("utf-8").splitlines()]
                      for path in (recipe.data.train[0], recipe.flow.qa))  # fmt: skip
    assert not {row["question"] for row in trained} & {row["question"] for row in asked}
    assert {row["answer"] for row in trained} == {row["answer"] for row in asked}


def test_the_rows_are_those_that_their_script_makes(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPE.parent))
    import make_syslog

    make_syslog.write_all(tmp_path)
    for name in ("train.jsonl", "held-out.jsonl"):
        assert (tmp_path / name).read_bytes() == (RECIPE.parent / name).read_bytes()


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        ('quants = ["nf5"]', "[flow] quants names 'nf5'; known: gptq2"),
        ('suite = "tests-of-mine"', "[flow] names tests-of-mine, which is not there"),
        ('qa = "none.csv"', "none.csv, which is not there"),
        ('benchmark = "cti-rcm"', "did you mean 'benchmarks'"),
    ],
)
def test_a_flow_that_cannot_be_run_is_an_error_before_anything_is_trained(home, capsys, flow, words):
    (home / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n' * 2)
    (home / "mine.toml").write_text(f'base = "tinysec"\n[data]\ntrain = "rows.jsonl"\n[flow]\n{flow}\n')
    assert main(["flow", "mine.toml"]) == 3
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (home / "mine.flow").exists()
