"""When a benchmark needs no more items: the gate looks while the run goes on.

Two reasons to stop share one mechanism. With ``early_stop`` a candidate is asked its items in a random order, and the
gate looks now and then; with ``on_inconclusive = "extend"`` a sample comes first, and the other items of base and
candidate only where it did not decide. Either way each case asks, before its window runs, whether it is still needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_slmsec.collection.cases import Case, Group, case_of
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import SlmsecError, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.policy.config import GateConfig, Rule
from pytest_slmsec.gates.policy.rule_check import P_CORRECT
from pytest_slmsec.gates.records.benchmark_run import Arm
from pytest_slmsec.gates.records.comparisons import Duel
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import OFF, TWO_STAGE, Visit, sample_first, stop_early
from pytest_slmsec.gating.marker import with_marks
from pytest_slmsec.reports.groups import Groups

SUBSET = "subset"
"""Key of `Item.meta` that names the part of its benchmark an item belongs to."""


class Stopping:
    """Arranges the cases of a run, and says of each whether it is still needed.

    Args:
        gate: what is tolerated. duels: who against whom. groups: completed by the session. settings: of the run.
    """

    def __init__(self, gate: GateConfig, duels: Sequence[Duel], groups: Groups, settings: Settings) -> None:
        self._gate, self._duels, self._groups, self._settings = gate, duels, groups, settings
        self._candidates = {duel.candidate: duel for duel in duels}
        self._bases = {duel.base for duel in duels if duel.base is not None}
        self._visits: dict[Group, Visit] = {}
        self._places: dict[Group, dict[int, int]] = {}
        self._settled: dict[tuple[Group, int], Verdict | None] = {}
        self._family: dict[ModelSpec, set[str]] = {}

    # -- before the run

    @property
    def extends(self) -> bool:
        """Whether samples are extended where they do not decide."""
        return self._gate.extend and self._settings.limit is not None

    @property
    def wanted(self) -> bool:
        """Whether the configuration, or an option with it, has any benchmark stop."""
        rules = (Rule(), *self._gate.rules.values())
        return bool(self._duels) and (self.extends or any(self._gate.stops_early(rule) != OFF for rule in rules))

    def takes_whole(self, model: ModelSpec, label: str, n: int) -> bool:
        """Whether a benchmark is taken whole although only a sample is wanted, for the gate may ask for the rest.

        Args:
            label: of the whole benchmark. n: its items.
        """
        if not self.extends:
            return False
        duel = self._candidates.get(model)
        if duel is None or duel.base is not None:
            return duel is not None or model in self._bases
        return any(arm.benchmark == label and arm.n == n for arm in duel.stored)

    def arrange(self, items: list[pytest.Item]) -> None:
        """Put the cases of benchmarks that may stop into the order of their visits, bases before candidates.

        Raises:
            UsageError: a benchmark cannot stop early.
        """
        self._gate = with_marks(self._gate, items)
        if not self.wanted:
            return
        found = [(place, item, case) for place, item in enumerate(items) if (case := case_of(item)) is not None]
        members: dict[Group, dict[int, tuple[int, pytest.Item]]] = {}
        for place, item, case in found:
            members.setdefault(case.group, {})[case.row] = place, item
        for group, rows in members.items():
            self._family.setdefault(group.model, set()).add(group.label)
            visit = self._visit(group, len(rows))
            if visit is not None:
                self._visits[group] = visit
                self._places[group] = {row: place for place, row in enumerate(visit.order)}
                for place, row in zip(sorted(place for place, _ in rows.values()), visit.order, strict=True):
                    items[place] = rows[row][1]
        if self._visits:
            self._stages_apart(items, [place for place, _, _ in found])

    def _stages_apart(self, items: list[pytest.Item], places: Sequence[int]) -> None:
        """Samples before what extends them, and bases before candidates; else nothing changes its order."""

        def key(item: pytest.Item) -> tuple[bool, bool]:
            case = case_of(item)
            assert case is not None
            visit = self._visits.get(case.group)
            extending = visit is not None and self.extends and self.segment(case) > 0
            return extending, case.group.model not in self._bases

        for place, item in zip(places, sorted((items[place] for place in places), key=key), strict=True):
            items[place] = item

    def _visit(self, group: Group, n_selected: int) -> Visit | None:
        if n_selected < len(group.positions):
            return None  # a part (-k, --lf) is never judged, so it cannot be decided either
        rule = self._gate.rule(group.label, group.task.name)
        in_a_duel = group.model in self._candidates or group.model in self._bases
        return visit_of_group(group, rule, self._gate, self._settings, in_a_duel)

    def check(self, cases: Sequence[Case]) -> None:
        """Refuse an order that another plugin changed after all: the looks would see other items than drawn.

        Raises:
            UsageError: as said.
        """
        rows: dict[Group, list[int]] = {}
        for case in cases:
            rows.setdefault(case.group, []).append(case.row)
        for group, visit in list(self._visits.items()):
            if len(rows.get(group, ())) < visit.n_total:
                del self._visits[group]  # deselected since
            elif rows[group] != list(visit.order):
                raise UsageError(f"{group.label} on {group.model.name}: another plugin changes the order of the tests; "
                                 "early_stop and extend need the order they draw.")  # fmt: skip

    def segment(self, case: Case) -> int:
        """How many looks come before a case."""
        visit = self._visits.get(case.group)
        return 0 if visit is None else visit.segment(self._places[case.group][case.row])

    def visit(self, group: Group) -> Visit | None:
        """The visit of a group that may stop. A base is visited like its candidates, so that the batches are the same,
        but stops only where a sample is enough."""
        visit = self._visits.get(group)
        staged = visit is not None and visit.method == TWO_STAGE
        return visit if staged or group.model in self._candidates else None

    # -- during the run

    def needless(self, case: Case) -> str | None:
        """Why a case is not needed any more, or None where it is."""
        group, look = case.group, self.segment(case)
        visit = self.visit(group) if look else None
        if visit is None:
            return None
        askers = [group] if group.model in self._candidates else self._opponents(group)
        verdicts = [self._settle(one, look) for one in askers]
        if not verdicts or None in verdicts:
            return None
        seen = max(visit.looks[self._decided_at(one, look) - 1] for one in askers)
        self._groups.by_key[group.label, group.model.name].stopped = seen
        said = " and ".join(dict.fromkeys(verdict.value for verdict in verdicts if verdict is not None))
        saved = counted(visit.n_total - seen, "item")
        return f"the gate decided after {seen} of {visit.n_total} items: {said}; {saved} saved"

    def _opponents(self, base: Group) -> list[Group]:
        """The groups of the candidates that are judged against a base."""
        models = {duel.candidate for duel in self._duels if duel.base == base.model}
        return [group for group in self._visits if group.label == base.label and group.model in models]

    def _decided_at(self, group: Group, look: int) -> int:
        return next(k for k in range(1, look + 1) if self._settle(group, k) is not None)

    def _settle(self, group: Group, look: int) -> Verdict | None:
        """What the gate says of a candidate after some looks; what it said at one it says for good."""
        key = group, look
        if key not in self._settled:
            earlier = self._settle(group, look - 1) if look > 1 else None
            visit = self._visits[group]
            self._settled[key] = earlier or self._judge(group, visit.order[: visit.looks[look - 1]])
        return self._settled[key]

    def _judge(self, group: Group, rows: Sequence[int]) -> Verdict | None:
        from pytest_slmsec.gates.decision.decide import settled
        from pytest_slmsec.gates.decision.score_gates import score_gates
        from pytest_slmsec.gates.records.comparability import pair, restricted
        from pytest_slmsec.reports.gate.live_runs import live_arm

        mine = self._groups.by_key.get((group.label, group.model.name))
        base = self._base(group)
        if mine is None or base is None or not mine.measures(rows):
            return None
        try:
            candidate = live_arm(mine.part(rows), {})
            found = pair(restricted(base, candidate), candidate)
            return settled(score_gates(found, self._gate), len(self._family[group.model]))
        except SlmsecError:
            return None  # not comparable: the end of the run says why

    def _base(self, group: Group) -> Arm | None:
        """What is known of the base of a candidate by now: all of it, or its sample."""
        from pytest_slmsec.reports.gate.live_runs import live_arm

        duel = self._candidates[group.model]
        if duel.base is None:
            return next((arm for arm in duel.stored if arm.benchmark == group.label), None)
        base = self._groups.by_key.get((group.label, duel.base.name))
        if base is None or not base.header or base.n_errors or not (base.complete or self.extends):
            return None
        return live_arm(base if base.complete else base.part(sorted(base.rows)), {})


def visit_of_group(
    group: Group, rule: Rule, gate: GateConfig, settings: Settings, in_a_duel: bool
) -> Visit | None:  # fmt: skip
    """The visit of a group that may stop before its end, or None.

    Raises:
        UsageError: it is to stop, but what is judged does not allow it.
    """
    n, limit, method = len(group.positions), settings.limit, gate.stops_early(rule)
    if limit is not None and limit.n < n:  # taken whole only to be extended
        if method != OFF:
            raise UsageError(f'early_stop = "{method}" and on_inconclusive = "extend" both say when {group.label} '
                             "needs no more items: leave out one of them, or --slmsec-limit.")  # fmt: skip
        return sample_first(limit.positions(n), n)
    if method == OFF or not in_a_duel:
        return None
    if gate.scope != "benchmark":
        _check(group, rule, method)
    return stop_early(method, n, settings.window, _strata(group) if gate.scope != "benchmark" else None)


def _check(group: Group, rule: Rule, method: str) -> None:
    """Refuse what can be known before anything runs; the rest is refused when it is judged."""
    from pytest_slmsec.gates.decision.methods import clusters_forbid, real_needs_anytime

    metric = group.metric
    wanted = rule.metrics or ((P_CORRECT, metric.name) if group.task.by_choice else (metric.name,))
    for name in wanted if method != "anytime" else ():
        if name == P_CORRECT or not metric.binary:
            raise UsageError(real_needs_anytime(f"{group.label} {name}", method))
    if group.dataset.kind != "hub" and any(item.meta.get("cluster") is not None for item in group.items):
        raise UsageError(f"{group.label}: {clusters_forbid(method)}")


def _strata(group: Group) -> list[str] | None:
    """The part of its benchmark that each item belongs to; the items of the hub are not read before the run."""
    names = [] if group.dataset.kind == "hub" else [item.meta.get(SUBSET) for item in group.items]
    return [str(name) for name in names] if names and None not in names else None
