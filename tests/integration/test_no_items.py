"""Benchmarks whose items cannot be read are named at the end; a run that measured nothing for that is red."""

SUITE = """
import pytest
from pytest_slmsec import Task
from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.scoring.exact import score_exact
from pytest_slmsec.scoring.metrics import ACCURACY

def load(root):
    raise DataUnavailable("lost: no file lost.tsv below published: name the folder with --slmsec-data=DIR.")

@pytest.mark.slmsec(Task("lost", score_exact, ACCURACY, load=load, n_items=3, max_new_tokens=8))
def test_lost(answer):
    assert answer.parsed
"""
SENTENCE = "No items, so not measured: lost. lost: no file lost.tsv below published: name*"


def test_a_run_that_measured_nothing_is_red(toy):
    toy.pytester.path.joinpath("published").mkdir()
    toy.pytester.makepyfile(test_lost=SUITE)
    result = toy.run("test_lost.py", "--slmsec-data=published", models=["alpha"])
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines([SENTENCE])
    assert result.ret == 10


def test_beside_what_was_measured_they_are_named(toy):
    toy.pytester.path.joinpath("published").mkdir()
    toy.pytester.makepyfile(test_lost=SUITE)
    result = toy.run("--slmsec-data=published", "-k", "lost or ports", models=["alpha"])
    result.stdout.fnmatch_lines([SENTENCE])
    assert result.ret == 0


def test_the_same_with_xdist(toy):
    toy.pytester.path.joinpath("published").mkdir()
    toy.pytester.makepyfile(test_lost=SUITE)
    result = toy.run("test_lost.py", "--slmsec-data=published", "-n2", models=["alpha"], subprocess=True)
    result.stdout.fnmatch_lines([SENTENCE])
    assert result.ret == 10
