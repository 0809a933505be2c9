"""The lines that a campaign prints."""

import signal
from pathlib import Path

import pytest

from pytest_slmsec.campaign.done import Done
from pytest_slmsec.campaign.plan import Session
from pytest_slmsec.campaign.run import Ended
from pytest_slmsec.campaign.text import duration, failure_lines, running_lines, table


def session(folder, model="alpha"):
    return Session(model, ("ports",), Path(folder) / model, ())


def done(**scores):
    rows = tuple({"benchmark": label, "score": score, "scale": 1.0} for label, score in scores.items())
    return Done((), 0, 1.0, 1.0, None, rows)


def test_the_table_has_a_line_a_model_and_is_cut_where_the_terminal_ends(tmp_path):
    labels = {f"benchmark_{n:02d}": n / 10 for n in range(10)}
    lines = table(["alpha", "beta"], {session(tmp_path): done(**labels)}, 80)
    assert max(map(len, lines)) <= 80
    headings = [line for line in lines if line.startswith("model")]
    assert [word for line in headings for word in line.split()[1:]] == list(labels)
    first = next(line for line in lines if line.startswith("alpha"))
    assert first.split()[1:5] == ["0.0", "%", "10.0", "%"]
    assert all(set(line.split()[1:]) == {"-"} for line in lines if line.startswith("beta"))


def test_a_failure_shows_how_the_log_ends_and_nothing_that_moves_the_cursor(tmp_path):
    one = session(tmp_path)
    one.file("log").write_text("".join(f"line {n}\n" for n in range(99)) + "ERROR: \x1b[2Jgone\n")
    lines = failure_lines(Ended(one, -signal.SIGKILL, ("ports",), 3.0, None))
    assert "ended by SIGKILL; not measured whole: ports" in lines[0]
    assert lines[-1] == "    | ERROR: \\x1b[2Jgone"
    assert "line 1" not in lines


def test_a_running_session_shows_the_share_that_pytest_reported(tmp_path):
    one = session(tmp_path)
    assert running_lines([(one, 61.0)]) == ["  running: alpha: ports (0 %, 61 s)"]
    one.file("log").write_text("test_ports.py .... [ 13%]\ntest_ports.py .... [ 42%]\n")
    assert "(42 %, 3 min)" in running_lines([(one, 180.0)])[0]


@pytest.mark.parametrize(("seconds", "text"), [(0.2, "1 s"), (99, "99 s"), (180, "3 min"), (9000, "2.5 h")])
def test_durations(seconds, text):
    assert duration(seconds) == text
