"""A session pays only for what it uses."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_slmsec.config.options import PLUGIN_OPTIONS

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
WITHOUT_SETTINGS = {name: value for name, value in os.environ.items() if not name.startswith("SLMSEC_")}
"""Sessions of these tests take no setting from the environment that the tests run in."""
HERE = WITHOUT_SETTINGS | {"PYTHONPATH": os.pathsep.join([".", str(Path(__file__).parent.parent)])}
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


FOREIGN = """
import sys

def pytest_unconfigure(config):
    print("IMPORTED:", *sorted(sys.modules))
"""


def imported_by(folder, *args, **variables):
    """The modules that a pytest process had imported at its end, and what it printed before that line."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "what_is_imported", "-p", "no:cacheprovider", *args]
    path = os.pathsep.join([".", os.environ.get("PYTHONPATH", "")])
    env = WITHOUT_SETTINGS | {"PYTHONPATH": path} | variables
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    printed, _, modules = done.stdout.partition("IMPORTED:")
    return set(modules.split()), printed


@pytest.fixture
def foreign(tmp_path):
    """A project that knows nothing of this plugin."""
    (tmp_path / "what_is_imported.py").write_text(FOREIGN)
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = ''\n")
    (tmp_path / "test_plain.py").write_text(
        "import pytest\n\n@pytest.mark.parametrize('n', range(3))\ndef test_plain(n):\n    pass\n"
    )
    return tmp_path


@pytest.mark.parametrize("variables", [{}, {"SLMSEC_DATA": "/no/such/folder", "SLMSEC_BASE_URL": "http://[::1]:1/v1"}])
def test_a_session_without_models_imports_the_options_and_says_nothing(foreign, variables):
    without, _ = imported_by(foreign, "-p", "no:slmsec")
    imported, printed = imported_by(foreign, **variables)
    assert imported - without == {
        "pytest_slmsec",
        "pytest_slmsec.plugin",
        "pytest_slmsec.hookspec",
        "pytest_slmsec.config",
        "pytest_slmsec.config.options",
        "pytest_slmsec.core",
        "pytest_slmsec.core.choices",
    }
    assert not imported & {"numpy", "scipy", "psutil", "rich", "torch", "transformers", "datasets"}
    assert "slmsec" not in printed


def test_a_variable_that_cannot_be_used_is_said_once_a_test_needs_it(foreign):
    marked = "import pytest\n\n@pytest.mark.slmsec('cti-mcq')\ndef test_mcq(answer):\n    pass\n"
    (foreign / "test_marked.py").write_text(marked)
    env = WITHOUT_SETTINGS | {"SLMSEC_DATA": "/no/such/folder"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=foreign, capture_output=True, text=True, env=env)
    assert done.returncode == pytest.ExitCode.INTERRUPTED
    assert "--slmsec-data=/no/such/folder (or SLMSEC_DATA): there is no such folder" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout


def test_help_imports_the_options_and_lists_every_one(foreign):
    imported, printed = imported_by(foreign, "--help")
    assert "pytest_slmsec.config.settings" not in imported
    assert [option.flag for option in PLUGIN_OPTIONS if option.flag not in printed] == []


def test_a_configured_session_without_models_is_checked_and_imports_nothing_that_runs_models(foreign):
    (foreign / "slmsec.toml").write_text("limit = 5\n")
    imported, printed = imported_by(foreign)
    assert "pytest_slmsec.config.settings" in imported
    assert not imported & {"pytest_slmsec.session.plugin", "numpy", "scipy", "psutil", "rich", "torch"}
    assert "slmsec" not in printed


def test_scoring_recorded_answers_imports_nothing_that_runs_a_model(toy):
    toy.run("test_ports.py", "--slmsec-transcript=run.jsonl", models=("alpha",))
    (toy.pytester.path / ".slmsec" / "journal.jsonl").unlink()
    line = modules_of(toy, "test_ports.py", "-q", "--model=replay:run.jsonl")
    assert (toy.pytester.path / ".slmsec" / "journal.jsonl").stat().st_size > 0, "nothing was scored"
    assert line == "HEAVY: ['rich']"
