"""`slmsec simulate`: what it prints, and what it refuses."""

import re

import pytest

from pytest_slmsec.cli.main import main

SMALL = ("--models=20", "--benchmarks=3", "--items=500", "--workers=5")


def shares(said):
    return [float(found) for found in re.findall(r"share of ideal +([\d.]+)%; without failures ([\d.]+)%", said)[0]]


def test_it_says_that_nothing_was_measured_and_what_was_assumed(capsys):
    assert main(["simulate", *SMALL]) == 0
    said = capsys.readouterr().out
    assert said.startswith("simulated, not measured: 20 models x 3 benchmarks x 500 items on 5 workers\n")
    assert "0.1 s an item; 20 s to start a session of 4 benchmarks and 60 s to load a model" in " ".join(said.split())
    assert max(map(len, said.splitlines())) <= 80


def test_loading_and_failures_cost_what_they_cost(capsys):
    def found(*args):
        assert main(["simulate", *SMALL, *args]) == 0
        return shares(capsys.readouterr().out)

    assert found("--start-s=0", "--load-s=0", "--failure-h=0") == [100.0, 100.0]
    assert found("--failure-h=0")[0] == pytest.approx(100 * 150 / (150 + 80), abs=0.1), "150 s of work, 80 s of start"
    share, without = found("--failure-h=0.1")
    assert share < without


def test_a_pool_keeps_its_models(capsys):
    assert main(["simulate", *SMALL, "--benchmarks-per-session=1", "--failure-h=0", "--pool"]) == 0
    pool = shares(capsys.readouterr().out)[0]
    assert main(["simulate", *SMALL, "--benchmarks-per-session=1", "--failure-h=0"]) == 0
    assert pool > shares(capsys.readouterr().out)[0]


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--workers=0", "--workers=0: must be a number of at least 1."),
        ("--load-s=-1", "--load-s=-1.0: must be a number of at least 0."),
        ("--item-s=nan", "--item-s=nan: must be a number"),
        ("--failure-h=0.001", "make windows smaller"),
    ],
)
def test_numbers_that_cannot_be_used_are_one_sentence(capsys, option, said):
    assert main(["simulate", option]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
