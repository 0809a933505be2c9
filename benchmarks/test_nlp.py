"""General tasks, defined and scored by lm-evaluation-harness (package `lm_eval`).

They tell what a quantisation did to a model beside security.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("arc_challenge")
def test_arc_challenge(answer: Answer) -> None:
    """Science questions of grade school."""
    assert answer.score is not None


@pytest.mark.slmsec("hellaswag")
def test_hellaswag(answer: Answer) -> None:
    """The most plausible end of a short scene."""
    assert answer.score is not None


@pytest.mark.slmsec("winogrande")
def test_winogrande(answer: Answer) -> None:
    """Which of two nouns a sentence means."""
    assert len(answer.logprobs) == 2


@pytest.mark.slmsec("gsm8k")
def test_gsm8k(answer: Answer) -> None:
    """Word problems with a number for an answer, after five worked examples."""
    assert answer.score is not None


@pytest.mark.slmsec("mmlu_elementary_mathematics")
def test_mmlu_elementary_mathematics(answer: Answer) -> None:
    """Mathematics of elementary school, by the letter of the answer."""
    assert len(answer.logprobs) == 4


@pytest.mark.slmsec("truthfulqa_mc2")
def test_truthfulqa_mc2(answer: Answer) -> None:
    """How much of the probability goes to true answers where a common belief is false."""
    assert answer.score is not None


@pytest.mark.slmsec("lm-eval")
def test_lm_eval(answer: Answer) -> None:
    """Any other task of the package, named with ``--slmsec-lm-eval=TASK``."""
    assert answer.score is not None
