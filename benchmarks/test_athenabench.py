"""AthenaBench mini: six sets on threat intelligence.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("athena-mcq")
def test_athena_mcq(answer: Answer) -> None:
    """Multiple choice with five options: the letter."""
    assert answer.score is not None


@pytest.mark.slmsec("athena-ate")
def test_athena_ate(answer: Answer) -> None:
    """The one ATT&CK technique of a scenario; sub-techniques count as theirs."""
    assert answer.score is not None


@pytest.mark.slmsec("athena-rcm")
def test_athena_rcm(answer: Answer) -> None:
    """The CWE behind a CVE description of 2025."""
    assert answer.score is not None


@pytest.mark.slmsec("athena-rms")
def test_athena_rms(answer: Answer) -> None:
    """The ATT&CK mitigations against a scenario: F1 of their ids."""
    assert answer.score is not None


@pytest.mark.slmsec("athena-vsp")
def test_athena_vsp(answer: Answer) -> None:
    """The CVSS v3.1 vector of a CVE description: 1 - deviation of the base score / 7.7."""
    assert answer.score is not None


@pytest.mark.slmsec("athena-taa")
def test_athena_taa(answer: Answer) -> None:
    """The threat actor behind a report, by the aliases of CTIBench."""
    assert answer.score is not None
