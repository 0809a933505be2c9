"""Questions and dialogues about security: own items by key facts, and those of HackMentor (Zhang et al. 2023) by chrF.

An answer that lacks a fact passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("secchat-iio")
def test_secchat_iio(answer: Answer) -> None:
    """One question: what a threat is, how it is detected, how it is prevented."""
    assert answer.score is not None


@pytest.mark.slmsec("secchat-turn")
def test_secchat_turn(answer: Answer) -> None:
    """A turn of a dialogue, of which many can only be answered from an earlier one."""
    assert answer.score is not None


@pytest.mark.slmsec("hackmentor-seed")
def test_hackmentor_seed(answer: Answer) -> None:
    """Published instructions against a reference."""
    assert answer.score is not None


@pytest.mark.slmsec("hackmentor-dialogue")
def test_hackmentor_dialogue(answer: Answer) -> None:
    """The last answered turn of each published dialogue."""
    assert answer.score is not None


@pytest.mark.slmsec("hackmentor-turn")
def test_hackmentor_turn(answer: Answer) -> None:
    """Every turn of the published dialogues."""
    assert answer.score is not None
