"""Further question sets on security and IT operations, as published: MMLU, SecQA, WMDP, CyberMetric, SecEval, SecBench
and OpsEval.

A wrong answer passes with the status `wrong`; a case fails only when no valid measurement was made.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("mmlu-computer-security")
def test_mmlu_computer_security(answer: Answer) -> None:
    """MMLU's subject (Hendrycks et al. 2021), five examples, by the log-probability of each letter."""
    assert answer.score is not None


@pytest.mark.slmsec("secqa-v1")
def test_secqa_v1(answer: Answer) -> None:
    """SecQA (Liu 2023), the easier set, five examples, by the log-probability of each letter."""
    assert answer.score is not None


@pytest.mark.slmsec("secqa-v2")
def test_secqa_v2(answer: Answer) -> None:
    """SecQA, the harder set."""
    assert answer.score is not None


@pytest.mark.slmsec("wmdp-cyber")
def test_wmdp_cyber(answer: Answer) -> None:
    """WMDP (Li et al. 2024): hazardous knowledge, where a low score is what one may want. By log-probability."""
    assert answer.score is not None


@pytest.mark.slmsec("cybermetric-80")
def test_cybermetric_80(answer: Answer) -> None:
    """CyberMetric (Tihanyi et al. 2024), 80 questions: the letter in "ANSWER: X"."""
    assert answer.score is not None


@pytest.mark.slmsec("cybermetric-500")
def test_cybermetric_500(answer: Answer) -> None:
    """CyberMetric, 500 questions."""
    assert answer.score is not None


@pytest.mark.slmsec("cybermetric-2000")
def test_cybermetric_2000(answer: Answer) -> None:
    """CyberMetric, 2000 questions."""
    assert answer.score is not None


@pytest.mark.slmsec("cybermetric-10000")
def test_cybermetric_10000(answer: Answer) -> None:
    """CyberMetric, 10000 questions."""
    assert answer.score is not None


@pytest.mark.slmsec("seceval")
def test_seceval(answer: Answer) -> None:
    """SecEval (Li et al. 2023): all right letters of four, and no other."""
    assert answer.score is not None


@pytest.mark.slmsec("secbench-mcq")
def test_secbench_mcq(answer: Answer) -> None:
    """SecBench (Jing et al. 2024), Chinese and English: all right letters, and no other."""
    assert answer.score is not None


@pytest.mark.slmsec("opseval-wired-network")
def test_opseval_wired_network(answer: Answer) -> None:
    """OpsEval (Liu et al. 2023): operation of wired networks, English and Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("opseval-oracle")
def test_opseval_oracle(answer: Answer) -> None:
    """OpsEval: Oracle databases, English and Chinese."""
    assert answer.score is not None


@pytest.mark.slmsec("opseval-5g")
def test_opseval_5g(answer: Answer) -> None:
    """OpsEval: 5G communication, Chinese."""
    assert answer.score is not None
