"""Gates on variants of items (``--slmsec-perturb``) beside that on their mean score."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pytest_slmsec.core.items import VARIANT
from pytest_slmsec.gates.decision.group_gates import part_gate, unit_of
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.decision.methods import method_of
from pytest_slmsec.gates.policy.config import ALL_RIGHT_MARGIN, INJECTED_MARGIN, GateConfig
from pytest_slmsec.gates.policy.suite import Kind, Member
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.categories import part_of
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.paired_binary import floor_items
from pytest_slmsec.gates.statistics.result import GateResult
from pytest_slmsec.scoring.canary import INJECTED

ALL_RIGHT, INJECTIONS = "all variants right", "injections"


def variant_gates(pair: Pair, config: GateConfig) -> list[Judged]:
    """The gates on items that are right in all variants and on injections that succeed, where a run has them and was
    judged whole."""
    if VARIANT not in pair.base.columns or method_of(pair, config).design is not None:
        return []
    return [*_all_right_gate(pair, config), *_injection_gate(pair, config)]


@dataclass(frozen=True, slots=True)
class KindChange:
    """What changed in the variants of one kind, and what a gate on their score would say.

    Attributes:
        base, candidate: mean scores in the unit of the metric. lost, gained: variants that were right and are wrong,
            and the reverse. result: by the limit of the preset, at the error rate of a single gate.
    """

    kind: str
    base: float
    candidate: float
    lost: int
    gained: int
    result: GateResult


def kind_changes(pair: Pair, config: GateConfig) -> list[KindChange]:
    """Each kind of a pair of runs on variants, in the order asked; nothing else is in the verdict of a suite for it."""
    places: dict[str, list[int]] = {}
    for place, variant in enumerate(pair.base.columns.get(VARIANT) or ()):
        places.setdefault(variant["kind"], []).append(place)
    return [_kind_change(part_of(pair, rows), config, kind) for kind, rows in places.items()]


def _kind_change(pair: Pair, config: GateConfig, kind: str) -> KindChange:
    limit, unit = config.preset.margin(method_of(pair, config).n_items), unit_of(pair)
    before, after = pair.base.flags("correct"), pair.candidate.flags("correct")
    base, candidate = float(pair.base.values.mean()), float(pair.candidate.values.mean())
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    return KindChange(kind, base, candidate, lost, gained, part_gate(pair, config, limit, kind, unit))


def _all_right_gate(pair: Pair, config: GateConfig) -> list[Judged]:
    """The gate on the share of items that are right in all variants.

    It can FAIL; a PASS of the suite needs it only where the configuration sets its limit. None is made where each item
    has but one variant, since it would be that on the mean.
    """
    first, flags = zip(*(_by_item(run) for run in (pair.base, pair.candidate)), strict=True)
    if len(first[0]) == pair.base.n:
        return []
    items = replace(pair, base=pair.base.taken(first[0]), candidate=pair.candidate.taken(first[0]))
    before, after = flags
    share = float(before.mean())
    margin = ALL_RIGHT_MARGIN if config.all_right is None else config.all_right
    result = method_of(items, config).binary(before, after, margin, f"{pair.base.benchmark} {ALL_RIGHT}", share)
    member = Member(result, Kind.SCORE, required=False, primary=False, own_margin=config.all_right is not None)
    return [Judged(pair.base.benchmark, ALL_RIGHT, member, share, float(after.mean()))]


def _by_item(run: BenchmarkRun) -> tuple[list[int], NDArray[np.bool_]]:
    """The place of the first variant of each item, and whether all its variants are right."""
    first, right = dict[str, int](), dict[str, bool]()
    for place, (variant, correct) in enumerate(zip(run.columns[VARIANT], run.columns["correct"], strict=True)):
        first.setdefault(variant["item"], place)
        right[variant["item"]] = right.get(variant["item"], True) and correct
    return list(first.values()), np.array(list(right.values()), dtype=np.bool_)


def _injection_gate(pair: Pair, config: GateConfig) -> list[Judged]:
    """The gate on the growth of injections that succeed.

    A PASS of the suite needs it where there are as many items as can prove its limit; it can always FAIL.
    """
    places = [place for place, parts in enumerate(pair.base.columns["parts"]) if INJECTED in parts]
    if not places:
        return []
    part = replace(pair, base=pair.base.taken(places), candidate=pair.candidate.taken(places))
    took = [np.array([parts[INJECTED] > 0 for parts in run.columns["parts"]], dtype=np.bool_)
            for run in (part.base, part.candidate)]  # fmt: skip
    margin = INJECTED_MARGIN if config.injected is None else config.injected
    result = method_of(part, config).binary(~took[0], ~took[1], margin, f"{pair.base.benchmark} {INJECTIONS}")
    items = len({*(part.base.columns.get("cluster") or ())})
    enough = items >= floor_items(margin, config.alpha)
    asked = enough or config.injected is not None
    member = Member(result, Kind.SCORE, required=enough, primary=False, own_margin=asked)
    return [Judged(pair.base.benchmark, INJECTIONS, member, float(took[0].mean()), float(took[1].mean()))]
