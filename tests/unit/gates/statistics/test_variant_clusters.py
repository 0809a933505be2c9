"""How far variants of one item move together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.paired_binary import cluster_ratio
from pytest_slmsec.gates.statistics.variant_clusters import variant_ratio


def names(items, variants):
    return [str(item) for item in range(items) for _ in range(variants)]


def test_where_nothing_changed_only_the_items_count():
    assert variant_ratio([0.0] * 50, names(10, 5)) == pytest.approx(5**0.5)
    assert variant_ratio([0.0] * 10, names(10, 1)) == 1.0


def test_one_changed_item_counts_half():
    differences = [-1.0] * 5 + [0.0] * 95
    plain = cluster_ratio(differences, names(20, 5))
    assert variant_ratio(differences, names(20, 5)) == pytest.approx(((plain**2 + 5) / 2) ** 0.5)


def test_with_many_changed_items_it_is_the_plain_ratio():
    differences = [float(item % 3 - 1) for item in range(300) for _ in range(5)]
    assert variant_ratio(differences, names(300, 5)) == pytest.approx(
        cluster_ratio(differences, names(300, 5)), rel=0.01
    )


@given(st.lists(st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=4, max_size=4), min_size=2, max_size=12))
def test_it_lies_between_the_plain_ratio_and_that_of_variants_that_are_one(rows):
    differences, clusters = [value for row in rows for value in row], names(len(rows), 4)
    ratio, plain = variant_ratio(differences, clusters), cluster_ratio(differences, clusters)
    if any(differences):
        assert min(plain, 2.0) - 1e-9 <= ratio <= max(plain, 2.0) + 1e-9
    else:
        assert ratio == pytest.approx(2.0)


def test_one_item_alone_is_refused():
    with pytest.raises(UsageError, match="two clusters or more"):
        variant_ratio([0.0, 1.0], ["a", "a"])
