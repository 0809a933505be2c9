"""Alerts, malware reports, logs, goods and texts, as published: CyberSOCEval, SOC-Bench, LogEval, Loghub, HSCodeComp
and SQuAD.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("cybersoc-malware")
def test_cybersoc_malware(answer: Answer) -> None:
    """Detonation reports: all right letters and no other."""
    assert answer.score is not None


@pytest.mark.slmsec("cybersoc-malware-truncated")
def test_cybersoc_malware_truncated(answer: Answer) -> None:
    """The same questions over reports that are cut as the authors cut them."""
    assert answer.score is not None


@pytest.mark.slmsec("cybersoc-threat")
def test_cybersoc_threat(answer: Answer) -> None:
    """Threat reports: all right letters and no other."""
    assert answer.score is not None


@pytest.mark.slmsec("soc-bench")
def test_soc_bench(answer: Answer) -> None:
    """The threat in a log line; severity and technique beside it."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-anomaly-en")
def test_logeval_anomaly_en(answer: Answer) -> None:
    """Normal or abnormal, English."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-anomaly-zh")
def test_logeval_anomaly_zh(answer: Answer) -> None:
    """Normal or abnormal, Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-parsing-en")
def test_logeval_parsing_en(answer: Answer) -> None:
    """The template of a line, English."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-parsing-zh")
def test_logeval_parsing_zh(answer: Answer) -> None:
    """The template of a line, Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-diagnosis-en")
def test_logeval_diagnosis_en(answer: Answer) -> None:
    """The fault behind a log, English."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-diagnosis-zh")
def test_logeval_diagnosis_zh(answer: Answer) -> None:
    """The fault behind a log, Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-summary-en")
def test_logeval_summary_en(answer: Answer) -> None:
    """A summary of lines, English: ROUGE-L."""
    assert answer.score is not None


@pytest.mark.slmsec("logeval-summary-zh")
def test_logeval_summary_zh(answer: Answer) -> None:
    """A summary of lines, Chinese: ROUGE-L."""
    assert answer.score is not None


@pytest.mark.slmsec("log-anomaly")
def test_log_anomaly(answer: Answer) -> None:
    """Normal or abnormal, of any labelled file of Loghub."""
    assert answer.score is not None


@pytest.mark.slmsec("log-parsing")
def test_log_parsing(answer: Answer) -> None:
    """The template of a line, of any file of Loghub."""
    assert answer.score is not None


@pytest.mark.slmsec("hscodecomp")
def test_hscodecomp(answer: Answer) -> None:
    """The ten-digit tariff code of a product."""
    assert answer.score is not None


@pytest.mark.slmsec("squad")
def test_squad(answer: Answer) -> None:
    """Words of a paragraph that answer a question."""
    assert answer.score is not None


@pytest.mark.slmsec("squad-v2")
def test_squad_v2(answer: Answer) -> None:
    """The same with questions that the paragraph does not answer."""
    assert answer.score is not None
