"""Questions with short answers: our own, or those of a file that is named with ``--slmsec-qa=FILE``.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("qa")
def test_qa(answer: Answer) -> None:
    """Token F1 of the answer; right is an exact match."""
    assert answer.score is not None
