"""Error rates of the gate on the worst category, with fixed seeds, and of the gate on a gain, by enumeration."""

import numpy as np
import pytest

from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.power import rates_at
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.worst_group import worst_group_gate

pytestmark = pytest.mark.statistics

MARGIN, ALPHA = 0.10, 0.05


def verdict(rng, drops, n, churn=0.06):
    """The verdict on categories of `n` items with the given true drops, at a churn of 6 %."""
    counts = [rng.multinomial(n, [churn / 2 + drop, churn / 2, 1 - churn - drop])[:2] for drop in drops]
    level = ALPHA / len(drops)
    sides = [
        {str(place): binary_gate(int(lost), int(won), n, MARGIN, alpha, alpha)
         for place, (lost, won) in enumerate(counts)}
        for alpha in (ALPHA, level)
    ]  # fmt: skip
    return worst_group_gate(*sides).verdict


@pytest.mark.parametrize(("categories", "n"), [(5, 30), (14, 40), (14, 100)])
def test_categories_at_the_margin_fail_falsely_in_at_most_5_of_100_runs(categories, n):
    rng = np.random.default_rng(categories * n)
    found = [verdict(rng, [MARGIN] * categories, n) for _ in range(400)]
    assert found.count(Verdict.FAIL) <= 0.05 * 400 + 2 * np.sqrt(400 * 0.05 * 0.95)


@pytest.mark.parametrize("n", [40, 100])
def test_one_category_at_the_margin_passes_falsely_in_at_most_5_of_100_runs(n):
    rng = np.random.default_rng(n)
    found = [verdict(rng, [0.0] * 6 + [MARGIN], n) for _ in range(400)]
    assert found.count(Verdict.PASS) <= 0.05 * 400 + 2 * np.sqrt(400 * 0.05 * 0.95)


def test_a_collapsed_category_is_found():
    rng = np.random.default_rng(3)
    found = [verdict(rng, [0.0] * 13 + [0.6], 40) for _ in range(100)]
    assert found.count(Verdict.FAIL) >= 99


@pytest.mark.parametrize("n", [240, 320])
@pytest.mark.parametrize("churn", [0.02, 0.06, 0.12])
def test_a_gain_of_exactly_the_limit_passes_and_fails_falsely_in_at_most_5_of_100_runs(n, churn):
    """Exact: the gate on a gain FAILs where the gate on a drop with both models swapped PASSes, and the reverse."""
    swapped = rates_at(n, 0.20, churn, 0.20)
    assert swapped.failed <= 0.0525
    assert swapped.passed <= 0.0525
