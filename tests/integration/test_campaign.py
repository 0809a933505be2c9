"""`slmsec campaign`: sessions in processes of their own, resumed, and shown in one table."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from pytest_slmsec.cli.main import main

FILE = """
models = ["alpha", "{second}"]
benchmarks = ["ports", "hashes"]
benchmarks-per-session = 1
tests = ["test_ports.py", "test_hashes.py"]
options = ["-p", "no:randomly", "--slmsec-window=16"]
"""


@pytest.fixture
def campaign(toy, monkeypatch, capsys):
    """Runs a campaign of the toy suite in this process: exit status and output."""
    home = toy.pytester.path
    entries = "".join(f'[models.{name}]\nlocation = "/nowhere"\n' for name in ("alpha", "beta", "broken"))
    (home / "slmsec.toml").write_text(entries)
    monkeypatch.chdir(home)

    def run(*args, second="beta", file=FILE):
        (home / "soc.toml").write_text(file.replace("{second}", second))
        toy.log.unlink(missing_ok=True)
        capsys.readouterr()
        status = main(["campaign", "soc.toml", *args])
        return status, capsys.readouterr().out

    return run


def test_models_x_benchmarks_are_measured_once_and_shown_in_one_table(toy, campaign):
    status, said = campaign("--jobs=2")
    assert status == 0
    assert said.startswith("soc.toml: 2 models x 2 benchmarks, 4 sessions, 2 at a time\n")
    assert said.count("] ok ") == 4
    lines = said.splitlines()
    assert lines[lines.index(next(line for line in lines if line.startswith("model"))) + 1].count("66.7 %") == 2
    assert "soc: 4 of 4 sessions complete" in said
    assert "<title>" in (toy.pytester.path / "soc" / "report.html").read_text("utf-8")
    assert sorted(toy.loads) == ["alpha", "alpha", "beta", "beta"]
    assert set(toy.asked.values()) == {2}, "each item once for each model"

    status, again = campaign()
    assert (status, toy.notes()) == (0, [])
    assert "4 complete from before" in again
    assert again.split("model  ")[1].split("soc: ")[0] == said.split("model  ")[1].split("soc: ")[0]

    changed = FILE.replace("--slmsec-window=16", "--slmsec-window=15")
    status, _ = campaign(file=changed)
    assert (status, sum(toy.asked.values())) == (0, 0), "other options: run again, and answered from the journals"


def test_a_session_that_fails_is_named_with_its_log_and_the_others_go_on(toy, campaign):
    status, said = campaign(second="broken")
    assert status == 1
    assert said.count("] ok ") == said.count("] FAILED broken: ") == 2
    assert "not measured whole: ports" in said
    assert "    | " in said
    assert "broken: the directory /nowhere holds no config.json" in said
    assert "soc: 2 of 4 sessions complete; 2 failed" in said
    assert "Again: slmsec campaign soc.toml" in said
    assert main(["report", "soc/alpha/ports.json", "-o", "one.html"]) == 0


def stored(home):
    """Number of answers in the journals of all sessions; a line that is being written is not counted."""
    lines = [line for path in (home / "soc").glob("*/*.journal.jsonl") for line in path.read_bytes().splitlines(True)]
    return sum(len(json.loads(line[9:]).get("keys", ())) for line in lines if line.endswith(b"\n"))


def test_ctrl_c_loses_nothing_and_says_how_to_go_on(toy, campaign):
    campaign_file = FILE.replace("{second}", "beta")
    (toy.pytester.path / "soc.toml").write_text(campaign_file)
    command = [sys.executable, "-m", "pytest_slmsec.cli.main", "campaign", "soc.toml", "-j", "2"]
    process = subprocess.Popen(
        command, env={**os.environ, "FREE_ENGINE_DELAY_S": "0.3"}, text=True, stdout=subprocess.PIPE
    )
    until = time.monotonic() + 120
    while not stored(toy.pytester.path):
        assert time.monotonic() < until, "nothing was stored"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "It goes on with: slmsec campaign soc.toml --jobs 2" in said

    kept = stored(toy.pytester.path)
    assert 0 < kept < 120
    status, _ = campaign("--jobs=2")
    assert (status, sum(toy.asked.values())) == (0, 120 - kept)


def test_two_campaigns_do_not_work_in_one_folder(toy, campaign, capsys):
    from pytest_slmsec.campaign.folder import working_in

    with working_in(toy.pytester.path / "soc"):
        assert campaign()[0] == 2
    assert toy.notes() == []
