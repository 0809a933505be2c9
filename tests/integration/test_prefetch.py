"""``--slmsec-no-prefetch``: the next window is asked while the last one is reported, unless that cannot be sound."""

import pytest

from pytest_slmsec.core.journal import read

INTERRUPT = """
import threading
import pytest

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    session.config.add_cleanup(lambda: print("LEFT:", [one.name for one in threading.enumerate()]))

@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item):
    if item.nodeid.endswith("alpha-ports-00003]"):
        raise KeyboardInterrupt
"""
PREFETCH = "slmsec-prefetch"


def threads(toy):
    """Which thread asked each item."""
    return {item: note["thread"] for note in toy.notes() for item in note.get("ask", ())}


def journaled(toy, name="journal.jsonl"):
    """What each line of the journal holds, but for what was measured with a meter."""
    lines, _, damaged = read(toy.pytester.path / ".slmsec" / name)
    assert not damaged
    return [(line["keys"], line["outputs"], line["timing"]) for line in lines]


def conftest(toy, text):
    path = toy.pytester.path / "conftest.py"
    path.write_text(path.read_text() + text)


def test_the_windows_after_the_first_of_a_benchmark_are_asked_ahead(toy):
    toy.run("--slmsec-window=10", models=("alpha",))
    first = {f"{name}-{n:05d}" for name in ("ports", "hashes") for n in range(1, 11)}
    assert {item: name == PREFETCH for item, name in threads(toy).items()} == {i: i not in first for i in toy.asked}


def test_results_and_journal_are_the_same(toy):
    on = toy.run("--slmsec-window=7", "--benchmark-json=on.json")
    asked = toy.asked
    off = toy.run("--slmsec-window=7", "--slmsec-no-prefetch", "--benchmark-json=off.json")
    assert on.parseoutcomes() == off.parseoutcomes() == {"passed": 80, "wrong": 40}
    assert PREFETCH not in threads(toy).values()
    assert toy.asked == asked
    assert journaled(toy) == journaled(toy, "journal.1.jsonl")


def test_never_more_than_one_window_ahead(toy):
    conftest(
        toy,
        """
import json, os
def pytest_runtest_logfinish(nodeid):
    with open(os.environ["FREE_ENGINE_LOG"], "a") as file:
        file.write(json.dumps({"reported": nodeid.partition("alpha-")[2][:-1]}) + "\\n")
""",
    )
    toy.run("test_ports.py", "--slmsec-window=5", models=("alpha",))
    reported = 0
    for note in toy.notes():
        reported += "reported" in note
        for item in note.get("ask", ()):
            window = (int(item[-5:]) - 1) // 5
            assert reported >= 5 * (window - 1)
    assert reported == 30


def test_a_prompt_that_breaks_a_window_ahead_fails_its_own_case(toy):
    suite = toy.pytester.path / "test_ports.py"
    suite.write_text(suite.read_text().replace("ports {n} say", "ports {n} {'poison' if n == 17 else ''} say"))
    result = toy.run("test_ports.py", "--slmsec-window=10", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 19, "wrong": 10, "failed": 1}
    result.stdout.fnmatch_lines(["*FAILED*alpha-ports-00017*"])


@pytest.mark.parametrize("option", ["-x", "--maxfail=3", "--sw"])
def test_nothing_is_asked_ahead_where_a_failure_ends_the_run(toy, option):
    toy.run("test_ports.py", option, "--slmsec-window=10", models=("alpha",))
    assert set(threads(toy).values()) == {"MainThread"}


def test_workers_ask_nothing_ahead(toy):
    pytest.importorskip("xdist")
    toy.run("test_ports.py", "-n1", "--slmsec-window=10", models=("alpha",), subprocess=True)
    assert PREFETCH not in threads(toy).values()


def test_ctrl_c_leaves_no_thread_and_loses_nothing_that_was_journaled(toy, monkeypatch):
    monkeypatch.setenv("FREE_ENGINE_DELAY_S", "0.05")
    conftest(toy, INTERRUPT)
    result = toy.run("test_ports.py", "--slmsec-window=10", models=("alpha",), subprocess=True)
    assert result.ret == 2
    result.stdout.fnmatch_lines(["To continue where this run stopped: *", "LEFT: ['MainThread']"])
    kept = sum(len(keys) for keys, _, _ in journaled(toy))
    assert 10 <= kept <= 20  # the window that was reported, and what was done of the next
    conftest(toy, "\ndel pytest_runtest_teardown\n")
    result = toy.run("test_ports.py", "--slmsec-resume", "--slmsec-window=10", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 20, "wrong": 10}
    assert len(toy.asked) == 30 - kept
