"""Work of a border post, with items of our own: documents, messages in five languages, notes, customs, reports.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("border-document")
def test_border_document(answer: Answer) -> None:
    """Machine-readable zones after ICAO Doc 9303: a field, a check digit, the visual zone, expiry."""
    assert answer.score is not None


@pytest.mark.slmsec("border-triage")
def test_border_triage(answer: Answer) -> None:
    """What a message to the help desk wants, in English, Spanish, French, Arabic and Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("border-entities")
def test_border_entities(answer: Answer) -> None:
    """Persons, documents, vehicles, places and goods of a note, by F1, and whether it tells of a threat."""
    assert answer.score is not None


@pytest.mark.slmsec("border-customs")
def test_border_customs(answer: Answer) -> None:
    """The duty by a table of allowances, exactly."""
    assert answer.score is not None


@pytest.mark.slmsec("border-report")
def test_border_report(answer: Answer) -> None:
    """An incident as JSON against a schema, by F1 of its fields."""
    assert answer.score is not None
