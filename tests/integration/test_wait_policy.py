"""Threads of OpenMP sleep while they wait: on a busy machine, spinning ones slow a model down."""

import pytest

REPORT = """
import os

def pytest_unconfigure(config):
    print("POLICY:", os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.fixture
def reporting(toy, monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    toy.pytester.makepyfile(report_policy=REPORT)
    return toy


def test_threads_wait_passively_where_a_model_is_named(reporting):
    result = reporting.run("-p", "report_policy", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(["POLICY: PASSIVE"])
    result.stdout.no_fnmatch_line("*OMP_WAIT_POLICY*")


def test_what_the_user_has_set_stays(reporting, monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    result = reporting.run("-p", "report_policy", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(["POLICY: ACTIVE"])


def test_a_session_without_models_is_left_alone(reporting):
    result = reporting.run("-p", "report_policy", models=(), subprocess=True)
    result.stdout.fnmatch_lines(["POLICY: None"])


def test_the_header_says_where_torch_was_imported_before(reporting):
    result = reporting.run("-p", "torch", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(["slmsec: torch was imported before OMP_WAIT_POLICY=PASSIVE could be set*"])
