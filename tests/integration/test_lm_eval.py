"""Tasks of lm-evaluation-harness in a test run: with the package, without it, and by name."""

import importlib
import json
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from pytest_slmsec.core.paths import fixtures_dir

# Each run in this process forgets what it was the first to import; the items that it read stay cached, and `datasets`
# cannot be imported twice.
importlib.import_module("pytest_slmsec.tasks.harness.loading")
with suppress(ImportError):
    importlib.import_module("datasets")

SUITE = Path(__file__).parent.parent.parent / "benchmarks" / "test_nlp.py"


@pytest.fixture
def nlp(toy):
    shutil.copy(SUITE, toy.pytester.path / "test_nlp.py")
    return lambda *args: toy.run("test_nlp.py", f"--slmsec-data={fixtures_dir() / 'data'}", *args, models=("alpha",))


def test_without_the_package_each_benchmark_is_one_skip_with_the_pip_line(nlp, toy, monkeypatch):
    monkeypatch.setattr("pytest_slmsec.core.extras.find_spec", lambda name: None)
    result = nlp("-rs", "-k", "winogrande or gsm8k")
    assert result.parseoutcomes()["skipped"] == 2
    result.stdout.fnmatch_lines(["*needs the package 'lm_eval'*pip install 'pytest-slmsec?nlp?'*"])
    assert toy.loads == []


def test_without_a_name_the_function_for_further_tasks_is_one_skip(nlp):
    result = nlp("-rs", "-k", "test_lm_eval")
    assert result.parseoutcomes()["skipped"] == 1
    result.stdout.fnmatch_lines(["*name one with --slmsec-lm-eval=TASK*"])


def test_known_tasks_are_measured_with_interval_and_baseline(nlp):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    result = nlp("-k", "winogrande or mmlu or truthfulqa", "--benchmark-json=out.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["winogrande@16rows*acc*50.0 % *"])
    (entry, *_) = json.loads(Path("out.json").read_text())["benchmarks"]
    assert "lm_eval" in entry["extra_info"]["scorer"]


def test_a_further_task_is_collected_by_its_name(nlp, toy):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    data = toy.pytester.path / "data"
    shutil.copytree(fixtures_dir() / "data" / "arc_challenge", data / "arc_easy")
    result = nlp("-k", "test_lm_eval", f"--slmsec-data={data}", "--slmsec-lm-eval=arc_easy,winogrande")
    counts = result.parseoutcomes()
    assert counts["passed"] + counts["wrong"] == 16  # winogrande has a function of its own
    result.stdout.fnmatch_lines(["arc_easy@16rows*acc_norm*"])


def test_a_task_that_is_not_measured_ends_collection_with_a_sentence(nlp):
    pytest.importorskip("lm_eval", reason="lm-eval is not installed")
    result = nlp("--slmsec-lm-eval=wikitext")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*--slmsec-lm-eval=wikitext: this task asks for loglikelihood_rolling*"])


def test_a_damaged_file_ends_collection_with_file_record_and_field(nlp, toy):
    data = toy.pytester.path / "data"
    shutil.copytree(fixtures_dir() / "data" / "winogrande", data / "winogrande")
    path = data / "winogrande" / "validation.jsonl"
    path.write_text(path.read_text("utf-8").replace('"answer": "2"', '"antwort": "2"', 1), "utf-8")
    result = nlp("-k", "winogrande", f"--slmsec-data={data}")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*validation.jsonl, record 1, field 'answer': the field is missing*"])
