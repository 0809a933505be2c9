"""Runs beside pytest-timeout and pytest-forked."""

import os
from pathlib import Path

import pytest

MARKED = """
import pytest
from test_ports import ITEMS
from pytest_slmsec import Task
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

@pytest.mark.{marker}
@pytest.mark.slmsec(Task("more", score_exact, ACCURACY, ITEMS, max_new_tokens=8))
def test_more(answer):
    {body}
"""


@pytest.fixture
def with_timeout(toy, monkeypatch):
    """The toy suite, whose windows take a second each, where pytest-timeout is installed."""
    module = pytest.importorskip("pytest_timeout")
    found = [os.environ["PYTHONPATH"], str(Path(module.__file__).parent)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(found))
    monkeypatch.setenv("FREE_ENGINE_DELAY_S", "0.25")
    return toy


@pytest.mark.parametrize("method", ["signal", "thread"])
def test_a_timeout_of_a_test_does_not_end_the_window_of_its_first_case(with_timeout, method):
    result = with_timeout.run("--timeout=0.6", f"--timeout-method={method}", models=("alpha",), subprocess=True)
    assert result.ret == 0
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    assert set(with_timeout.asked.values()) == {1}


def test_a_test_that_is_slow_itself_still_times_out(with_timeout):
    body = "import time; time.sleep(3 if answer.item.id == 'ports-00001' else 0)"
    with_timeout.pytester.makepyfile(test_more=MARKED.format(marker="timeout(0.5)", body=body))
    result = with_timeout.run("test_more.py", models=("alpha",), subprocess=True)
    outcomes = result.parseoutcomes()
    assert outcomes["failed"] == 1
    assert outcomes["passed"] + outcomes["wrong"] == 29
    result.stdout.fnmatch_lines(["*ports-00001*", "*Timeout*0.5*"])


def test_a_timeout_of_the_test_function_alone_is_left_as_it_is(with_timeout):
    result = with_timeout.run("--timeout=0.6", "-o", "timeout_func_only=true", models=("alpha",), subprocess=True)
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}


def test_tests_in_forked_processes_are_one_usage_error(toy):
    pytest.importorskip("pytest_forked")
    result = toy.run("--forked", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith("ERROR: --forked runs each test in a process of its own, which would load the model again")
    assert toy.notes() == []


def test_a_marker_that_forks_is_one_usage_error(toy):
    pytest.importorskip("pytest_forked")
    toy.pytester.makepyfile(test_more=MARKED.format(marker="forked", body="pass"))
    result = toy.run("test_more.py", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: test_more.py::test_more: the marker forked runs each test in a process*"])
    assert toy.notes() == []


def test_forked_tests_without_a_model_are_left_alone(pytester):
    pytest.importorskip("pytest_forked")
    pytester.makepyfile("def test_plain():\n    pass\n")
    assert pytester.runpytest("--forked").ret != pytest.ExitCode.USAGE_ERROR
