"""Error rates of the gate on variants of items at its limit: 1, 5 and 9 variants of 100 and 320 items, fixed seeds.

Outcomes of one item are drawn from probabilities of its own (Dirichlet), so that they agree with a correlation of `rho`
between its variants: 0, independent, to 1, where an item changes in all its variants or in none.
"""

import numpy as np
import pytest

from pytest_slmsec.gates.statistics.paired_binary import (
    CLUSTER_RATIO_THRESHOLD,
    binary_gate,
    cluster_ratio,
    fail_z,
    tango_z,
)
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.variant_clusters import variant_ratio

pytestmark = pytest.mark.statistics

MARGIN, Z, RUNS = 0.02, 1.6448536269514722, 6000
AT_MOST = 0.06 + 2 * np.sqrt(0.06 * 0.94 / RUNS)
"""6 %, and two standard errors of the simulation."""


def drawn(rng, runs, items, variants, churn, rho, drop=MARGIN):
    """Lost, gained and unchanged variants of each item of each run: an array [runs, items, 3]."""
    shares = np.array([churn / 2 + drop, churn / 2, 1 - churn - drop])
    if rho == 0 or variants == 1:
        return rng.multinomial(variants, shares, size=(runs, items))
    if rho == 1:
        return variants * rng.multinomial(1, shares, size=(runs, items))
    return rng.multinomial(variants, rng.dirichlet(shares * (1 - rho) / rho, size=(runs, items)))


def ratios(counts, variants):
    """`variant_ratio` of each run."""
    items = counts.shape[1]
    n, lost, gained = items * variants, counts[..., 0], counts[..., 1]
    change = (gained - lost).astype(float)
    mean = change.sum(1) / n
    clustered = ((change - variants * mean[:, None]) ** 2).sum(1) * items / (items - 1)
    naive = ((lost + gained).sum(1) - n * mean**2) * n / (n - 1)
    squared = np.divide(clustered, naive, out=np.ones_like(naive), where=naive > 0)
    changed = ((lost + gained) > 0).sum(1)
    return np.sqrt((changed * squared + variants) / (changed + 1))


def rates(counts, variants, ratio):
    """Shares of runs that PASS and that FAIL."""
    shrink = np.where(ratio > CLUSTER_RATIO_THRESHOLD, ratio, 1.0) ** -2
    lost, gained = counts[..., 0].sum(1) * shrink, counts[..., 1].sum(1) * shrink
    n = counts.shape[1] * variants * shrink
    return float((tango_z(lost, gained, n, MARGIN) <= -Z).mean()), float((fail_z(lost, gained, n, MARGIN) >= Z).mean())


def found(items, variants, churn, rho, drop=MARGIN):
    counts = drawn(np.random.default_rng(items + variants), RUNS, items, variants, churn, rho, drop)
    return rates(counts, variants, ratios(counts, variants))


@pytest.mark.parametrize("churn", [0.02, 0.06, 0.12])
@pytest.mark.parametrize(
    ("variants", "rho"), [(1, 0), *((variants, rho) for variants in (5, 9) for rho in (0, 0.2, 0.5, 0.8, 1))]
)
@pytest.mark.parametrize("items", [100, 320])
def test_at_the_limit_at_most_6_of_100_runs_are_judged_wrongly(items, variants, rho, churn):
    passed, failed = found(items, variants, churn, rho)
    assert passed <= AT_MOST
    assert failed <= AT_MOST


@pytest.mark.parametrize(("variants", "rho"), [(1, 0), (5, 0), (5, 0.5), (5, 1), (9, 0), (9, 0.5), (9, 1)])
@pytest.mark.parametrize("items", [100, 320])
def test_with_hardly_any_churn_variants_are_judged_wrongly_no_more_often_than_items(items, variants, rho):
    """At a churn of 1 % the gate on single items is wrong in up to 7.7 % of all cases (`test_gate_size`)."""
    passed, failed = found(items, variants, 0.01, rho)
    assert passed <= 0.06
    assert failed <= 0.077


def test_pooled_variants_would_be_judged_wrongly_far_more_often():
    counts = drawn(np.random.default_rng(1), RUNS, 320, 5, 0.06, 0.8)
    passed, failed = rates(counts, 5, np.ones(RUNS))
    assert passed > 0.12
    assert failed > 0.12


def test_the_plain_ratio_passes_falsely_where_few_items_changed():
    counts = drawn(np.random.default_rng(1), RUNS, 100, 9, 0.01, 1)
    naive = np.array([_plain(run, 9) for run in counts])
    assert rates(counts, 9, naive)[0] > 0.07
    assert rates(counts, 9, ratios(counts, 9))[0] <= 0.06


def _plain(run, variants):
    differences, clusters = spread(run, variants)
    return cluster_ratio(differences, clusters)


def spread(run, variants):
    """Counts of each item as a difference for each variant."""
    rows = [[-1.0] * lost + [1.0] * gained + [0.0] * same for lost, gained, same in run]
    return [value for row in rows for value in row], [str(item) for item, row in enumerate(rows) for _ in row]


@pytest.mark.parametrize(("variants", "rho"), [(1, 0), (5, 0.5), (9, 1)])
def test_the_rates_above_are_those_of_the_gate(variants, rho):
    counts = drawn(np.random.default_rng(2), 40, 100, variants, 0.06, rho)
    fast = ratios(counts, variants)
    for run, ratio in zip(counts, fast, strict=True):
        differences, clusters = spread(run, variants)
        assert variant_ratio(differences, clusters) == pytest.approx(ratio)
        lost, gained = int(run[:, 0].sum()), int(run[:, 1].sum())
        verdict = binary_gate(lost, gained, len(differences), MARGIN, cluster_se_ratio=ratio).verdict
        passed, failed = rates(run[None], variants, np.array([ratio]))
        assert (verdict is Verdict.PASS, verdict is Verdict.FAIL) == (passed == 1, failed == 1)


@pytest.mark.parametrize("variants", [5, 9])
def test_variants_decide_more_often_than_single_items(variants):
    """Of 320 items with an unchanged model and 6 % churn, and of one that lost 5 points."""
    same, worse = found(320, variants, 0.06, 0.5, drop=0.0), found(320, variants, 0.06, 0.5, drop=0.05)
    assert same[0] > found(320, 1, 0.06, 0, drop=0.0)[0]
    assert worse[1] > found(320, 1, 0.06, 0, drop=0.05)[1]
    assert same[1] <= 0.01
