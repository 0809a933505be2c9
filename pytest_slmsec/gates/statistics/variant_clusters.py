"""How far variants of one item move together, where few items have changed at all."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pytest_slmsec.gates.statistics.paired_binary import cluster_ratio


def variant_ratio(differences: Sequence[float], clusters: Sequence[str]) -> float:
    """As `cluster_ratio`, for clusters that are the variants of one item.

    The plain ratio is 1 where nothing changed, and low by chance where but few items changed; 100 items in 9 variants
    then PASS falsely in 8 of 100 cases. So one more item is counted that changed in all its variants: of k items with a
    change and m variants each, ratio^2 = (k r^2 + m) / (k + 1), r the plain ratio. With many changes this is r, with
    none sqrt(m), as if there were only the items. `tests/statistics/test_variant_gate_size.py` has the error rates.

    Args:
        differences: one per variant. clusters: the item of each, or what items have in common; same length.

    Raises:
        UsageError: see `cluster_ratio`.
    """
    plain = cluster_ratio(differences, clusters)
    names, index = np.unique(clusters, return_inverse=True)
    changed = int((np.bincount(index, weights=np.abs(np.asarray(differences, dtype=np.float64))) > 0).sum())
    squared = plain**2 if changed else 0.0
    return math.sqrt((changed * squared + len(index) / len(names)) / (changed + 1))
