"""A benchmark by choice of own items, as the text of a test file, for inner test runs with real tiny models."""

SUITE = """
import pytest
from pytest_slmsec import Item, Task
from pytest_slmsec.scoring.metrics import ACCURACY
from pytest_slmsec.scoring.option_logprob import score_option

LETTERS = ("A", "B")
ITEMS = [Item(f"ports-{n:05d}", f"Is port {n} open?", "A", labels=LETTERS, choices=LETTERS) for n in range(1, N + 1)]

@pytest.mark.slmsec(Task("ports", score_option, ACCURACY, ITEMS, max_new_tokens=0))
def test_ports(answer):
    assert answer.parsed
"""


def suite(n):
    """The test file with `n` items."""
    return SUITE.replace("N + 1", str(n + 1))
