"""A session pays only for what it uses."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "transformers",
    "peft",
    "onnx",
    "onnxruntime",
    "datasets",
    "lm_eval",
    "gptqmodel",
    "scipy",
    "rich",
    "jieba",
    "rouge",
    "thefuzz",
)
HERE = {**os.environ, "PYTHONPATH": os.pathsep.join([".", str(Path(__file__).parent.parent)])}
REPORT = f"""
import sys

def pytest_unconfigure(config):
    print("HEAVY:", sorted(set({HEAVY!r}) & set(sys.modules)))
"""


def modules_of(toy, *args):
    """What the pytest process had imported at its end."""
    toy.pytester.makepyfile(heavy_report=REPORT)
    command = [sys.executable, "-m", "pytest", "-p", "no:benchmark", "-p", "heavy_report", *args]
    done = subprocess.run(command, cwd=toy.pytester.path, capture_output=True, text=True, env=HERE)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("HEAVY:")]
    return line


def test_collecting_imports_nothing_heavy(toy):
    assert modules_of(toy, "--collect-only", "-q", "--model=alpha") == "HEAVY: []"


def test_collecting_the_suite_imports_nothing_heavy(toy, pytestconfig):
    suite = pytestconfig.rootpath / "benchmarks"
    assert modules_of(toy, str(suite), "--collect-only", "-q", "--model=tinysec", "--model=phi3-gptq4") == "HEAVY: []"


def test_a_session_without_models_says_and_imports_nothing(toy):
    toy.pytester.makepyfile(test_plain="def test_plain():\n    pass\n")
    command = [sys.executable, "-X", "importtime", "-m", "pytest", "-q", "test_plain.py"]
    done = subprocess.run(command, cwd=toy.pytester.path, capture_output=True, text=True)
    assert "slmsec" not in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "transformers", "datasets", "rich"}


def test_scoring_recorded_answers_imports_nothing_that_runs_a_model(toy):
    toy.run("test_ports.py", "--slmsec-transcript=run.jsonl", models=("alpha",))
    (toy.pytester.path / ".slmsec" / "journal.jsonl").unlink()
    line = modules_of(toy, "test_ports.py", "-q", "--model=replay:run.jsonl")
    assert (toy.pytester.path / ".slmsec" / "journal.jsonl").stat().st_size > 0, "nothing was scored"
    assert line == "HEAVY: ['rich']"
