"""--slmsec-resume: nothing is asked twice, nothing stale is reused, and the result is the same."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

ALPHA = ("-p", "no:randomly", "--model=alpha", "--benchmark-json=out.json", "--slmsec-window=16")


def result_of(path):
    """What a run measured, without times."""
    kept = ("score", "correct_bits", "n_items", "n_valid", "prompt_tokens", "new_tokens", "items_sha256")
    latency = [e for e in json.loads(path.read_text())["benchmarks"] if ":latency" in e["name"]]
    return {entry["name"]: {key: entry["extra_info"][key] for key in kept} for entry in latency}


def start(toy, *args):
    command = [sys.executable, "-m", "pytest", *ALPHA, *args]
    env = {**os.environ, "FREE_ENGINE_DELAY_S": "0.1"}
    return subprocess.Popen(
        command, cwd=toy.pytester.path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        preexec_fn=hears_ctrl_c,
    )  # fmt: skip


def hears_ctrl_c():
    """A shell starts what it runs in the background deaf to Ctrl-C, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_answers(toy, number):
    journal, until = toy.pytester.path / ".slmsec" / "journal.jsonl", time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b"\n") < number:
        assert time.monotonic() < until, "the run wrote no answers"
        time.sleep(0.02)


def test_after_kill_9_only_what_is_missing_is_asked(toy):
    toy.run(*ALPHA[2:], models=("alpha",), subprocess=True)
    whole = result_of(toy.pytester.path / "out.json")

    process = start(toy)
    wait_for_answers(toy, 3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = toy.pytester.path / ".slmsec" / "journal.jsonl"
    stored = sum(len(json.loads(line[9:])["keys"]) for line in before.read_bytes().splitlines())
    before.write_bytes(before.read_bytes() + b"0badc0de {torn")

    resumed = toy.run(*ALPHA[2:], "--slmsec-resume", models=("alpha",), subprocess=True)
    assert resumed.ret == 0
    assert sum(toy.asked.values()) == 60 - stored
    assert result_of(toy.pytester.path / "out.json") == whole


def test_ctrl_c_ends_with_the_command_that_resumes(toy):
    process = start(toy, "-k", "not hashes-00001")
    wait_for_answers(toy, 2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    last = output.strip().splitlines()[-1]
    assert last.startswith("To continue where this run stopped: pytest ")
    assert last.endswith("--slmsec-resume")
    assert "'not hashes-00001'" in last


def test_a_changed_weight_never_reuses_an_answer(toy, monkeypatch):
    toy.run(models=("alpha",))
    monkeypatch.setenv("FREE_ENGINE_WEIGHTS", "other")
    toy.run("--slmsec-resume", models=("alpha",))
    assert sum(toy.asked.values()) == 60


def test_a_changed_limit_never_reuses_an_answer(toy):
    toy.run(models=("alpha",))
    toy.run("--slmsec-resume", "--slmsec-max-new-tokens=9", models=("alpha",))
    assert sum(toy.asked.values()) == 60


def test_a_changed_prompt_asks_only_for_that_item(toy):
    toy.run(models=("alpha",))
    path = toy.pytester.path / "test_ports.py"
    path.write_text(path.read_text().replace(" say:", "{' (new)' if n == 4 else ''} say:"))
    toy.run("--slmsec-resume", models=("alpha",))
    assert toy.asked == {"ports-00004": 1}


def test_without_resume_everything_is_asked_and_the_old_journal_is_kept(toy):
    toy.run(models=("alpha",))
    toy.run(models=("alpha",))
    assert sum(toy.asked.values()) == 60
    assert (toy.pytester.path / ".slmsec" / "journal.1.jsonl").exists()


def test_a_full_disk_stops_the_run_in_one_sentence(toy):
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    (toy.pytester.path / "full.jsonl").symlink_to("/dev/full")
    result = toy.run("--slmsec-journal=full.jsonl", models=("alpha",))
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*The journal *full.jsonl cannot be written (No space left on device)*"])


def test_workers_keep_journals_of_their_own_and_resume_from_all(toy):
    pytest.importorskip("xdist")
    toy.run("-n2", "--dist=loadfile", models=("alpha",), subprocess=True)
    folder = toy.pytester.path / ".slmsec"
    assert sorted(path.name for path in folder.glob("*.jsonl")) == ["journal.gw0.jsonl", "journal.gw1.jsonl"]
    result = toy.run("--slmsec-resume", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    assert not toy.asked


def test_collecting_writes_no_journal(toy):
    toy.run("--collect-only")
    assert not (toy.pytester.path / ".slmsec").exists()


def test_the_summary_says_how_much_was_reused(toy):
    toy.run("test_ports.py", models=("alpha",))
    result = toy.run("--slmsec-resume", models=("alpha",))
    result.stdout.fnmatch_lines(["--slmsec-resume reused 30 of 60 answers from .slmsec/journal.jsonl."])
    toy.run().stdout.no_fnmatch_line("*were reused*")


def test_workers_count_what_is_reused(toy):
    pytest.importorskip("xdist")
    toy.run(models=("alpha",))
    result = toy.run("-n2", "--dist=loadfile", "--slmsec-resume", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(["--slmsec-resume reused 60 of 60 answers from .slmsec/journal.jsonl."])


@pytest.mark.parametrize("more", [(), ("--slmsec-resume",)])
def test_a_file_that_is_no_journal_is_left_alone(toy, more):
    notes = toy.pytester.path / "notes.txt"
    notes.write_text("my notes\n")
    result = toy.run("--slmsec-journal=notes.txt", *more, models=("alpha",))
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*notes.txt is no journal of slmsec: it was left as it is; name another file with *"])
    result.stdout.no_fnmatch_line("To continue where this run stopped*")
    assert [path.name for path in toy.pytester.path.glob("notes*")] == ["notes.txt"]
    assert notes.read_text() == "my notes\n"
