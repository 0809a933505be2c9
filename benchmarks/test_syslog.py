"""Log lines after ALSATE: severity, refusal of what is no log, cause and remedies; items of our own.

A model that refuses everything scores 50 % on the refusals: read them together with the analyses.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("syslog-severity")
def test_syslog_severity(answer: Answer) -> None:
    """Which severity has this line? By PRI, by the journal's PRIORITY, or by what it says."""
    assert answer.score is not None


@pytest.mark.slmsec("syslog-refusal")
def test_syslog_refusal(answer: Answer) -> None:
    """Logs, and texts that are none; right is the fixed sentence for these only."""
    assert answer.score is not None


@pytest.mark.slmsec("syslog-analysis")
def test_syslog_analysis(answer: Answer) -> None:
    """Cause and remedies of a line, by recall of key facts."""
    assert answer.score is not None


@pytest.mark.slmsec("syslog-journal")
def test_syslog_journal(answer: Answer) -> None:
    """Severity of entries that journalctl exported."""
    assert answer.score is not None


@pytest.mark.slmsec("syslog-rfc5424")
def test_syslog_rfc5424(answer: Answer) -> None:
    """Severity of lines in the form of RFC 5424."""
    assert answer.score is not None


@pytest.mark.slmsec("syslog-table")
def test_syslog_table(answer: Answer) -> None:
    """Analyses against those of a table, by chrF."""
    assert answer.score is not None
