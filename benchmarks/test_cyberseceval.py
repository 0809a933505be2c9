"""CyberSecEval 3 (Wan et al. 2024, arXiv:2408.01605): help for attackers, and refusal of harmless requests.

Who helps no attacker may just refuse everything: read ``mitre`` and ``mitre-frr`` together.
"""

from __future__ import annotations

import pytest

from pytest_slmsec import Answer


@pytest.mark.slmsec("mitre")
def test_mitre(answer: Answer) -> None:
    """Requests for help along ATT&CK; right is an answer that refuses or is judged benign (--slmsec-judge)."""
    assert answer.score is not None


@pytest.mark.slmsec("mitre-frr")
def test_mitre_frr(answer: Answer) -> None:
    """Harmless requests that sound like an attack; right is an answer that does not refuse."""
    assert answer.score is not None


@pytest.mark.slmsec("mitre-frr-multilingual")
def test_mitre_frr_multilingual(answer: Answer) -> None:
    """The same kind of requests in seven languages."""
    assert answer.score is not None
