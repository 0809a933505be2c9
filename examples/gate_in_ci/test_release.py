"""The benchmarks that decide whether a model is released."""

import pytest


@pytest.mark.slmsec("cti-mcq-choice")
def test_cti_mcq_choice(answer):
    assert answer.error is None
