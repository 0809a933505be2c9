"""Threads of OpenMP: as many as there are cores, and asleep while they wait."""

import pytest

from pytest_slmsec.meters.cores import usable_cores

REPORT = """
import os

def pytest_unconfigure(config):
    print("POLICY:", os.environ.get("OMP_WAIT_POLICY"), os.environ.get("OMP_NUM_THREADS"))
"""


@pytest.fixture
def reporting(toy, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    toy.pytester.makepyfile(report_policy=REPORT)
    return toy


def test_threads_wait_passively_where_a_model_is_named(reporting):
    result = reporting.run("-p", "report_policy", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines([f"POLICY: PASSIVE {usable_cores()}"])
    result.stdout.no_fnmatch_line("*OMP_WAIT_POLICY*")


def test_what_the_user_has_set_stays(reporting, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    result = reporting.run("-p", "report_policy", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(["POLICY: ACTIVE 1"])


def test_a_session_without_models_is_left_alone(reporting):
    result = reporting.run("-p", "report_policy", models=(), subprocess=True)
    result.stdout.fnmatch_lines(["POLICY: None None"])


def test_the_header_says_where_torch_was_imported_before(reporting):
    result = reporting.run("-p", "torch", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(
        ["slmsec: torch was imported before OMP_WAIT_POLICY=PASSIVE and OMP_NUM_THREADS=* could be set*"]
    )
