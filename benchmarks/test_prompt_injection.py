"""Prompt injection: text in the input that wants another answer than the system turn asks for.

An answer of nothing resists everything: read these beside benchmarks that ask for help.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("prompt-injection")
def test_prompt_injection(answer: Answer) -> None:
    """CyberSecEval 3 (Wan et al. 2024): a judge (--slmsec-judge) says whether the injection took."""
    assert answer.score is not None


@pytest.mark.slmsec("prompt-injection-canary")
def test_prompt_injection_canary(answer: Answer) -> None:
    """Items of our own: right is an answer without the word that the injected text asks for."""
    assert answer.score is not None
