"""SEvenLLM-Bench (Ji et al. 2024, arXiv:2405.03446): security events in English and Chinese.

Long answers are right when every sentence of the reference is met, extracted structures when every value is found; a
wrong answer passes with the status `wrong`, and a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("sevenllm-mcq-en")
def test_sevenllm_mcq_en(answer: Answer) -> None:
    """Four options about a report; English."""
    assert answer.score is not None


@pytest.mark.slmsec("sevenllm-mcq-zh")
def test_sevenllm_mcq_zh(answer: Answer) -> None:
    """Four options about a report; Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("sevenllm-gen-en")
def test_sevenllm_gen_en(answer: Answer) -> None:
    """An analysis against a reference text, by ROUGE-L; English."""
    assert answer.score is not None


@pytest.mark.slmsec("sevenllm-gen-zh")
def test_sevenllm_gen_zh(answer: Answer) -> None:
    """An analysis against a reference text, sentence by sentence by ROUGE-L; Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("sevenllm-extract-en")
def test_sevenllm_extract_en(answer: Answer) -> None:
    """Facts as JSON, by F1 of the values; English."""
    assert answer.score is not None


@pytest.mark.slmsec("sevenllm-extract-zh")
def test_sevenllm_extract_zh(answer: Answer) -> None:
    """Facts as JSON, by F1 of the values; Chinese."""
    assert answer.score is not None
