"""The entry point in folders laid out as SageMaker lays them out."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.sagemaker.__main__ import main
from pytest_slmsec.sagemaker.container import arguments, read_command, read_layout, write_failure

SUITE = """\
import pytest

@pytest.mark.slmsec("cti-mcq")
def test_it(answer):
    assert answer.error is None
"""


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SM_")]:
        monkeypatch.delenv(name)


def training(root, command=None, channels=(), **more):
    """The folders of a training job."""
    config = root / "input" / "config"
    config.mkdir(parents=True)
    parameters = ({} if command is None else {"command": command}) | more
    (config / "hyperparameters.json").write_text(json.dumps(parameters))
    for channel in channels:
        (root / "input" / "data" / channel).mkdir(parents=True)
    return root


def processing(root, channels=()):
    """The folders of a processing job."""
    (root / "config").mkdir(parents=True)
    (root / "config" / "processingjobconfig.json").write_text("{}")
    for channel in channels:
        (root / "processing" / "input" / channel).mkdir(parents=True)
    return root


def test_channels_are_the_folders_of_a_training_job_or_what_the_variables_say(tmp_path):
    root = training(tmp_path, "slmsec finetune {train}/soc.toml --out {model}/adapter", ["train", "data"])
    layout = read_layout(root, {"SM_CHANNEL_DATA": "/elsewhere/data", "SM_MODEL_DIR": "/elsewhere/model"})
    assert layout.channels == {"train": root / "input" / "data" / "train", "data": Path("/elsewhere/data")}
    assert layout.output == root / "output" / "data"
    words = read_command(layout, [])
    assert words == ["slmsec", "finetune", f"{root}/input/data/train/soc.toml", "--out", "/elsewhere/model/adapter"]
    assert arguments(words, layout) == [sys.executable, "-m", "pytest_slmsec.cli.main", *words[1:]]


def test_arguments_of_a_processing_job_go_first_and_results_go_to_its_output(tmp_path):
    layout = read_layout(processing(tmp_path, ["weights"]), {})
    words = read_command(layout, ["pytest", "benchmarks", "--model={weights}", "--junitxml=mine.xml"])
    output = tmp_path / "processing" / "output"
    assert arguments(words, layout)[3:] == [
        "benchmarks", f"--model={tmp_path}/processing/input/weights", "--junitxml=mine.xml",
        f"--benchmark-json={output}/run.json", f"--slmsec-journal={output}/journal.jsonl",
    ]  # fmt: skip


def test_a_journal_among_the_checkpoints_is_resumed(tmp_path):
    root = training(tmp_path, "pytest benchmarks")
    (root / "checkpoints").mkdir()
    assert "--slmsec-resume" not in arguments(["pytest"], read_layout(root, {}))
    (root / "checkpoints" / "journal.jsonl").write_text("")
    found = arguments(["pytest"], read_layout(root, {}))
    assert found[-2:] == [f"--slmsec-journal={root}/checkpoints/journal.jsonl", "--slmsec-resume"]


def test_texts_of_the_sdk_have_quotes_of_their_own(tmp_path):
    root = training(tmp_path, json.dumps("pytest 'my tests'"), sagemaker_program="x.py")
    assert read_command(read_layout(root, {}), []) == ["pytest", "my tests"]


@pytest.mark.parametrize(("command", "more", "says"), [
    (None, {}, "it must begin with pytest or slmsec"), ("bash -c ls", {}, "The command of the job is 'bash -c ls'"),
    ("pytest --model={wieghts}", {}, "names {wieghts}, and the job has no such channel; did you mean {weights}"),
    ("pytest 'x", {}, "close its quotes"), ("pytest", {"epochs": "3"}, "unknown hyperparameter 'epochs'"),
    ("pytest", {"comand": "x"}, "did you mean 'command'"),
])  # fmt: skip
def test_a_job_that_cannot_be_run_says_why_in_its_failure_file(tmp_path, capsys, command, more, says):
    root = training(tmp_path, command, ["weights"], **more)
    assert main(["--root", str(root)]) == 2
    assert says in (root / "output" / "failure").read_text()
    assert says in capsys.readouterr().err


def test_without_hyperparameters_the_remedy_is_named(tmp_path):
    with pytest.raises(UsageError, match="give the command as the container's arguments"):
        read_command(read_layout(tmp_path, {}), [])


def test_a_failure_is_text_of_at_most_a_kilobyte(tmp_path):
    layout = read_layout(processing(tmp_path), {})
    write_failure(layout, "\x1b[31m" + "\u00e9" * 2000)
    for name in ("failure", "message"):
        content = (tmp_path / "output" / name).read_bytes()
        assert len(content) <= 1024
        assert content.decode("utf-8").startswith(" [31m\u00e9")


def test_a_processing_job_measures_a_model_and_leaves_its_record(tmp_path):
    """The whole way, with the embedded model, as a process of its own."""
    root = processing(tmp_path, ["suite"])
    (root / "processing" / "input" / "suite" / "test_it.py").write_text(SUITE)
    command = ["pytest", "{suite}", "--model=tinysec", "--slmsec-limit=2", "-p", "no:cacheprovider"]
    entry = [sys.executable, "-m", "pytest_slmsec.sagemaker", "--root", str(root), *command]
    environment = {name: value for name, value in os.environ.items() if name != "SLMSEC_DATA"}
    done = subprocess.run(entry, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    output = root / "processing" / "output"
    assert done.returncode == 0, done.stdout
    assert json.loads((output / "run.json").read_text())["benchmarks"]
    assert {path.name for path in output.iterdir()} >= {"run.json", "junit.xml", "journal.jsonl"}
    assert not (root / "output" / "failure").exists()


def test_a_command_that_fails_leaves_its_last_lines(tmp_path, capfd):
    root = training(tmp_path, "slmsec ask no-such-model Why?")
    assert main(["--root", str(root)]) == 2
    failure = (root / "output" / "failure").read_text()
    assert failure.startswith("slmsec ended with exit status 2. Its last lines:\n")
    assert "no-such-model" in failure
    assert "no-such-model" in capfd.readouterr().out


def test_sigterm_reaches_the_command_as_ctrl_c(tmp_path):
    (tmp_path / "test_long.py").write_text(
        "import time\n\ndef test_it():\n    open('began', 'w').close()\n    time.sleep(600)\n"
    )
    root = training(tmp_path / "job", "pytest -p no:cacheprovider test_long.py")
    process = subprocess.Popen([sys.executable, "-m", "pytest_slmsec.sagemaker", "--root", str(root)], cwd=tmp_path,
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    while not (tmp_path / "began").exists() and process.poll() is None:
        pass_time()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 2  # pytest was interrupted
    assert "KeyboardInterrupt" in out
    assert "exit status 2" in (root / "output" / "failure").read_text()


def pass_time():
    import time

    time.sleep(0.1)
