"""How the differences of one benchmark become a verdict: all at once, or at the looks of a design.

Every gate of a benchmark goes through the same `Method`. Under a design each of them holds its error rate at whatever
look the run stops, and whichever gate stopped it: scheduled looks have repeated bounds, and the betting tests hold at
any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.items import VARIANT
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.alpha_spending import group_sequential_gate, pocock_spent
from pytest_slmsec.gates.statistics.betting import anytime_binary_gate, anytime_real_gate, benchmark_gate, hybrid_gate
from pytest_slmsec.gates.statistics.paired_binary import (
    CLUSTER_RATIO_THRESHOLD,
    binary_gate,
    cluster_ratio,
    pass_margin,
    weak_base,
)
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.result import GateResult, Verdict
from pytest_slmsec.gates.statistics.sequential_design import TWO_STAGE, SequentialDesign, design_of
from pytest_slmsec.gates.statistics.variant_clusters import variant_ratio

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Method:
    """How one benchmark is judged.

    Attributes:
        config: scope and error rates. n: items seen. design: order and looks, or None where all were judged once.
        clusters: the cluster (article, passage) of each item, or None. variants: they hold the variants of one item.
    """

    config: GateConfig
    n: int
    design: SequentialDesign | None = None
    clusters: tuple[str, ...] | None = None
    variants: bool = False

    @property
    def n_total(self) -> int:
        """Items of the whole benchmark, seen or not."""
        return self.n if self.design is None else self.design.n_total

    @property
    def n_items(self) -> int:
        """Items of the whole benchmark; where they come in variants, the items that these are made of."""
        return len({*self.clusters}) if self.variants and self.clusters is not None else self.n_total

    def binary(
        self, before: Flags, after: Flags, margin: float, gate: str, base_accuracy: float | None = None,
        alpha: float | None = None,
    ) -> GateResult:  # fmt: skip
        """The gate on flags of the same items before (base) and after (candidate).

        Raises:
            UsageError: early stopping does not fit the benchmark.
        """
        level, differences = alpha or self.config.alpha, after.astype(np.float64) - before.astype(np.float64)
        if self.config.scope == "benchmark":
            return self._exactly(differences, margin, 1.0, gate, "points")
        lost, gained = int((differences < 0).sum()), int((differences > 0).sum())
        if self.design is None or self._in_two_parts:
            ratio, level, share = self._ratio(differences), *self._level(level)
            found = binary_gate(lost, gained, self.n, margin, level, level, base_accuracy, gate=gate,
                                cluster_se_ratio=ratio, power=self.config.power)  # fmt: skip
            return self._part(self._clustered(found, ratio), share)
        limit = pass_margin(margin, base_accuracy)
        found = self._sequential(lost, gained, margin, level, gate)
        if limit < margin and base_accuracy is not None:
            allowed = limit > 0 and self._sequential(lost, gained, limit, level, gate).verdict is Verdict.PASS
            verdict = Verdict.INCONCLUSIVE if found.verdict is Verdict.PASS and not allowed else found.verdict
            found = replace(found, verdict=verdict, reasons=(weak_base(base_accuracy, limit),))
        return found

    def real(self, differences: Floats, margin: float, scale: float, gate: str, unit: str) -> GateResult:
        """The gate on differences of scores (candidate minus base, higher is better, within +-`scale`).

        Raises:
            UsageError: early stopping does not fit the benchmark.
        """
        alpha, design = self.config.alpha, self.design
        if self.config.scope == "benchmark":
            return self._exactly(differences, margin, scale, gate, unit)
        if design is not None and design.method == "anytime":
            self._refuse_clusters()
            found = anytime_real_gate(differences, margin, scale, alpha, gate=gate, unit=unit)
            return replace(found, details={**found.details, "n_total": design.n_total})
        if design is not None and design.method != TWO_STAGE:
            raise UsageError(real_needs_anytime(gate, design.method))
        ratio, level, share = self._ratio(differences), *self._level(alpha)
        found = real_gate(differences, margin, scale, level, gate=gate, unit=unit, cluster_se_ratio=ratio,
                          power=self.config.power)  # fmt: skip
        return self._part(self._clustered(found, ratio), share)

    def _exactly(self, differences: Floats, margin: float, scale: float, gate: str, unit: str) -> GateResult:
        return benchmark_gate(differences, self.n_total, margin, scale, self.config.alpha, gate=gate, unit=unit)

    def _sequential(self, lost: int, gained: int, margin: float, alpha: float, gate: str) -> GateResult:
        assert self.design is not None
        self._refuse_clusters()
        method, looks, n_total = self.design.method, self.design.interim_looks, self.design.n_total
        if method == "hybrid":
            return hybrid_gate(lost, gained, self.n, n_total, margin, alpha, gate=gate)
        if method == "anytime":
            found = anytime_binary_gate(lost, gained, self.n, margin, alpha, gate=gate)
            return replace(found, details={**found.details, "n_total": n_total})
        return group_sequential_gate(lost, gained, self.n, looks, margin, alpha, method=method, gate=gate)

    @property
    def _in_two_parts(self) -> bool:
        """Two stages of items in clusters: the joint distribution of the looks is not known, the sum of errors is."""
        return self.design is not None and self.design.method == TWO_STAGE and self.clusters is not None

    def _level(self, alpha: float) -> tuple[float, float]:
        """The error rate of this look and its share of all: of two stages each has a part, so that the sum is kept."""
        if self.design is None or len(self.design.interim_looks) == 1:
            return alpha, 1.0
        first = pocock_spent(self.design.interim_looks[0] / self.design.n_total, 1.0)
        share = first if self.n == self.design.interim_looks[0] else 1 - first
        return alpha * share, share

    def _part(self, found: GateResult, share: float) -> GateResult:
        """A test at a part of the error rate: its p-value counts so many times (weighted Bonferroni)."""
        if self.design is None:
            return found
        p_fail = None if found.p_fail is None else min(1.0, found.p_fail / share)
        return replace(found, p_fail=p_fail, details={**found.details, "n_total": self.design.n_total})

    def _ratio(self, differences: Floats) -> float:
        if self.clusters is None or len({*self.clusters}) < 2:
            return 1.0
        of_clusters = variant_ratio if self.variants else cluster_ratio
        ratio = of_clusters(differences.tolist(), self.clusters)
        return ratio if ratio > CLUSTER_RATIO_THRESHOLD else 1.0

    def _clustered(self, found: GateResult, ratio: float) -> GateResult:
        """The result with what clusters made of it."""
        if self.clusters is None:
            return found
        count = len({*self.clusters})
        details: dict[str, Any] = {**found.details, "clusters": count, "cluster_se_ratio": ratio,
                                   "n_effective": self.n / ratio**2}  # fmt: skip
        said = (f"The {self.n:,} items come in {count:,} clusters and count as {self.n / ratio**2:,.0f} independent "
                f"ones (standard error {ratio:.2f} times as large).",) if ratio > 1 else ()  # fmt: skip
        return replace(found, details=details, reasons=(*found.reasons, *said))

    def _refuse_clusters(self) -> None:
        if self.clusters is not None and self.design is not None:
            raise UsageError(clusters_forbid(self.design.method))


def method_of(pair: Pair, config: GateConfig) -> Method:
    """How a pair of runs is judged: the design and the clusters stand in what the candidate recorded."""
    design = design_of(pair.candidate.facts, pair.candidate.name)
    clusters = clusters_of(pair.candidate) or clusters_of(pair.base)
    return Method(config, pair.candidate.n, design, clusters, VARIANT in pair.candidate.columns)


def clusters_of(run: BenchmarkRun) -> tuple[str, ...] | None:
    """The cluster (article, passage) of each item of a run; None where items are independent, or one has no name."""
    names: Sequence[Any] = run.columns.get("cluster") or ()
    return tuple(map(str, names)) if names and all(name is not None for name in names) else None


def real_needs_anytime(what: str, method: str) -> str:
    """The sentence on a real-valued metric that should stop at scheduled looks."""
    return (f'{what}: early_stop = "{method}" is for right and wrong answers; of a score with values in between only '
            '"anytime" keeps its error rate. Write early_stop = "anytime", or "off".')  # fmt: skip


def whole_benchmark_only(what: str) -> str:
    """The sentence on a gate that needs all items, of a benchmark that may stop early or be extended."""
    return (f'{what}: it is judged on all items at once; write early_stop = "off" for this benchmark, and no '
            'on_inconclusive = "extend".')  # fmt: skip


def clusters_forbid(method: str) -> str:
    """The sentence on items in clusters that should be visited one by one."""
    return (f'early_stop = "{method}" takes items as independent, and these come in clusters (several about one text); '
            'write early_stop = "off".')  # fmt: skip
