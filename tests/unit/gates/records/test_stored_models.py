"""Which stored model was made from which."""

import pytest
from benchmark_runs import run

from pytest_slmsec.gates.records.stored_models import pairs_among


@pytest.mark.parametrize(
    ("models", "pairs"),
    [
        ([("phi3", None), ("phi3-q", "q"), ("phi3-fp16", "fp16")], [("phi3", "phi3-q"), ("phi3", "phi3-fp16")]),
        ([("phi3-q", "q"), ("phi3-w4", "w4")], [("phi3-q", "phi3-w4")]),
        ([("phi3", None)], []),
        ([], []),
    ],
)
def test_stored_runs_are_paired_as_their_models_would_be(models, pairs):
    assert pairs_among([run("10", model=name, quant=quant) for name, quant in models]) == pairs
