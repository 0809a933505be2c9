"""CTIBench (Alam et al. 2024, arXiv:2406.07599): cyber threat intelligence, six tasks as published and two by choice.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("cti-mcq")
def test_cti_mcq(answer: Answer) -> None:
    """Four options; the letter on the last line counts."""
    assert answer.score is not None


@pytest.mark.slmsec("cti-mcq-choice")
def test_cti_mcq_choice(answer: Answer) -> None:
    """The same questions, by the log-probability of each letter; for encoders, by the score of each option's text."""
    assert len(answer.choice_scores) == 4


@pytest.mark.slmsec("cti-mcq-cloze")
def test_cti_mcq_cloze(answer: Answer) -> None:
    """The same questions without their options, by the log-probability of each option's text a character."""
    assert len(answer.choice_scores) > 1


@pytest.mark.slmsec("cti-rcm")
def test_cti_rcm(answer: Answer) -> None:
    """The CWE behind a CVE description of 2024."""
    assert answer.score is not None


@pytest.mark.slmsec("cti-rcm-2021")
def test_cti_rcm_2021(answer: Answer) -> None:
    """The CWE behind a CVE description of 2021."""
    assert answer.score is not None


@pytest.mark.slmsec("cti-vsp")
def test_cti_vsp(answer: Answer) -> None:
    """The CVSS v3.1 base vector of a CVE description; the deviation of its base score counts."""
    assert answer.score is not None


@pytest.mark.slmsec("cti-taa")
def test_cti_taa(answer: Answer) -> None:
    """The threat actor behind a report."""
    assert answer.score is not None


@pytest.mark.slmsec("cti-ate")
def test_cti_ate(answer: Answer) -> None:
    """The ATT&CK techniques in a description of malware."""
    assert answer.score is not None
