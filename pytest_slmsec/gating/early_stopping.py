"""Stops a benchmark while the run goes on, once the gate can decide it.

Two features share this mechanism. With ``early_stop`` a candidate is asked its items in a random order, and the gate
judges the pairs seen so far at interim looks. With ``on_inconclusive = "extend"`` a sample comes first, and the other
items of base and candidate follow only where the sample does not decide. Before a case runs, `skip_reason` says whether
it is still needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_slmsec.collection.cases import Case, Evaluation, case_of
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.errors import SlmsecError, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.policy.config import GateConfig, Rule
from pytest_slmsec.gates.policy.rule_check import P_CORRECT
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparisons import Comparison
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import (
    OFF,
    TWO_STAGE,
    SequentialDesign,
    early_stopping_design,
    two_stage_design,
)
from pytest_slmsec.gating.marker import with_marks
from pytest_slmsec.reports.evaluation_results import EvaluationResults

SUBSET = "subset"
"""Key of `Item.meta` that names the part of its benchmark an item belongs to."""


class EarlyStopping:
    """Puts the cases of a run into the order of their sequential designs, and skips those that are not needed.

    Args:
        gate: what is tolerated. comparisons: each candidate with its baseline. results: those so far, completed by
            the session. settings: of the run.
    """

    def __init__(
        self, gate: GateConfig, comparisons: Sequence[Comparison], results: EvaluationResults, settings: Settings
    ) -> None:
        self._gate, self._comparisons, self._results, self._settings = gate, comparisons, results, settings
        self._candidates = {comparison.candidate: comparison for comparison in comparisons}
        self._bases = {comparison.live_baseline for comparison in comparisons if comparison.live_baseline is not None}
        self._designs: dict[Evaluation, SequentialDesign] = {}
        self._places: dict[Evaluation, dict[int, int]] = {}
        self._settled: dict[tuple[Evaluation, int], Verdict | None] = {}
        self._family: dict[ModelSpec, set[str]] = {}

    # -- before the run

    @property
    def extends(self) -> bool:
        """Whether samples are extended where they do not decide."""
        return self._gate.extend and self._settings.limit is not None

    @property
    def wanted(self) -> bool:
        """Whether the configuration or an option lets any benchmark stop before its last item."""
        rules = (Rule(), *self._gate.rules.values())
        return bool(self._comparisons) and (self.extends or any(self._gate.stops_early(rule) != OFF for rule in rules))

    def takes_whole(self, model: ModelSpec, label: str, n: int) -> bool:
        """Whether all items of a benchmark are collected for a sample, because the gate may ask for the rest.

        Args:
            label: of the whole benchmark. n: its items.
        """
        if not self.extends:
            return False
        comparison = self._candidates.get(model)
        if comparison is None or comparison.live_baseline is not None:
            return comparison is not None or model in self._bases
        return any(run.benchmark == label and run.n == n for run in comparison.stored_runs)

    def arrange(self, items: list[pytest.Item]) -> None:
        """Put the cases of benchmarks that may stop into the order of their designs, bases before candidates.

        Raises:
            UsageError: a benchmark cannot stop early.
        """
        self._gate = with_marks(self._gate, items)
        if not self.wanted:
            return
        cases = [(place, item, case_of(item)) for place, item in enumerate(items)]
        found = [(place, item, case) for place, item, case in cases if case is not None]
        members: dict[Evaluation, dict[int, tuple[int, pytest.Item]]] = {}
        for place, item, case in found:
            members.setdefault(case.evaluation, {})[case.row] = place, item
        for evaluation, rows in members.items():
            self._family.setdefault(evaluation.model, set()).add(evaluation.label)
            design = self._design(evaluation, len(rows))
            if design is not None:
                self._designs[evaluation] = design
                self._places[evaluation] = {row: place for place, row in enumerate(design.item_order)}
                for place, row in zip(sorted(place for place, _ in rows.values()), design.item_order, strict=True):
                    items[place] = rows[row][1]
        if self._designs:
            self._sort_stages(items, [place for place, _, _ in found])

    def _sort_stages(self, items: list[pytest.Item], places: Sequence[int]) -> None:
        """Sort samples before the items that extend them, and bases before candidates; the sort is stable."""

        def key(item: pytest.Item) -> tuple[bool, bool]:
            case = case_of(item)
            assert case is not None
            design = self._designs.get(case.evaluation)
            extending = design is not None and self.extends and self.segment(case) > 0
            return extending, case.evaluation.model not in self._bases

        for place, item in zip(places, sorted((items[place] for place in places), key=key), strict=True):
            items[place] = item

    def _design(self, evaluation: Evaluation, n_selected: int) -> SequentialDesign | None:
        if n_selected < len(evaluation.positions):
            return None  # a part (-k, --lf) is never judged, so it cannot be decided either
        if evaluation.are_variants:
            return None  # those of one item belong together
        rule = self._gate.rule(evaluation.label, evaluation.task.name)
        is_compared = evaluation.model in self._candidates or evaluation.model in self._bases
        return design_of_evaluation(evaluation, rule, self._gate, self._settings, is_compared)

    def check(self, cases: Sequence[Case]) -> None:
        """Check that the cases run in the order of their designs: the looks must see the items that were drawn.

        Raises:
            UsageError: another plugin changed the order.
        """
        rows: dict[Evaluation, list[int]] = {}
        for case in cases:
            rows.setdefault(case.evaluation, []).append(case.row)
        for evaluation, design in list(self._designs.items()):
            if len(rows.get(evaluation, ())) < design.n_total:
                del self._designs[evaluation]  # deselected since
            elif rows[evaluation] != list(design.item_order):
                where = f"{evaluation.label} on {evaluation.model.name}"
                raise UsageError(f"{where}: another plugin changes the order of the tests; early_stop and extend need "
                                 "the order they draw.")  # fmt: skip

    def segment(self, case: Case) -> int:
        """How many looks come before a case."""
        design = self._designs.get(case.evaluation)
        return 0 if design is None else design.segment(self._places[case.evaluation][case.row])

    def design(self, evaluation: Evaluation) -> SequentialDesign | None:
        """The design of an evaluation that may stop, or None.

        A base is asked in the order of its candidates, so that the batches are the same, but it stops only where a
        sample is enough.
        """
        design = self._designs.get(evaluation)
        staged = design is not None and design.method == TWO_STAGE
        return design if staged or evaluation.model in self._candidates else None

    # -- during the run

    def skip_reason(self, case: Case) -> str | None:
        """Why a case is not needed any more, or None where it is."""
        evaluation, look = case.evaluation, self.segment(case)
        design = self.design(evaluation) if look else None
        if design is None:
            return None
        askers = [evaluation] if evaluation.model in self._candidates else self._candidates_of(evaluation)
        verdicts = [self.verdict_at_look(one, look) for one in askers]
        if not verdicts or None in verdicts:
            return None
        seen = max(design.interim_looks[self._decided_at(one, look) - 1] for one in askers)
        self._results.by_key[evaluation.label, evaluation.model.name].stopped = seen
        said = " and ".join(dict.fromkeys(verdict.value for verdict in verdicts if verdict is not None))
        saved = counted(design.n_total - seen, "item")
        return f"the gate decided after {seen} of {design.n_total} items: {said}; {saved} saved"

    def _candidates_of(self, base: Evaluation) -> list[Evaluation]:
        """The evaluations of the candidates that are judged against a base."""
        models = {comparison.candidate for comparison in self._comparisons if comparison.live_baseline == base.model}
        return [
            evaluation for evaluation in self._designs if evaluation.label == base.label and evaluation.model in models
        ]

    def _decided_at(self, evaluation: Evaluation, look: int) -> int:
        return next(k for k in range(1, look + 1) if self.verdict_at_look(evaluation, k) is not None)

    def verdict_at_look(self, evaluation: Evaluation, look: int) -> Verdict | None:
        """The verdict on a candidate after some looks, or None. A verdict reached at one look is kept at later ones."""
        key = evaluation, look
        if key not in self._settled:
            earlier = self.verdict_at_look(evaluation, look - 1) if look > 1 else None
            design = self._designs[evaluation]
            self._settled[key] = earlier or self._judge(evaluation, design.item_order[: design.interim_looks[look - 1]])
        return self._settled[key]

    def _judge(self, evaluation: Evaluation, rows: Sequence[int]) -> Verdict | None:
        from pytest_slmsec.gates.decision.combine import early_verdict
        from pytest_slmsec.gates.decision.score_gates import score_gates
        from pytest_slmsec.gates.records.comparability import pair, restricted
        from pytest_slmsec.reports.gate.live_runs import live_run

        mine = self._results.by_key.get((evaluation.label, evaluation.model.name))
        base = self._base(evaluation)
        if mine is None or base is None or not mine.measures(rows):
            return None
        try:
            candidate = live_run(mine.part(rows), {})
            found = pair(restricted(base, candidate), candidate)
            return early_verdict(score_gates(found, self._gate), len(self._family[evaluation.model]))
        except SlmsecError:
            return None  # not comparable: the end of the run says why

    def _base(self, evaluation: Evaluation) -> BenchmarkRun | None:
        """The base of a candidate as far as it is measured: all of it or its sample; None where neither is complete."""
        from pytest_slmsec.reports.gate.live_runs import live_run

        comparison = self._candidates[evaluation.model]
        if comparison.live_baseline is None:
            return next((run for run in comparison.stored_runs if run.benchmark == evaluation.label), None)
        base = self._results.by_key.get((evaluation.label, comparison.live_baseline.name))
        if base is None or not base.header or base.n_errors or not (base.complete or self.extends):
            return None
        return live_run(base if base.complete else base.part(sorted(base.rows)), {})


def design_of_evaluation(
    evaluation: Evaluation, rule: Rule, gate: GateConfig, settings: Settings, is_compared: bool
) -> SequentialDesign | None:  # fmt: skip
    """The design of an evaluation that may stop before its end, or None.

    Raises:
        UsageError: it is to stop, but what is judged does not allow it.
    """
    n, limit, method = len(evaluation.positions), settings.limit, gate.stops_early(rule)
    if limit is not None and limit.n < n:  # taken whole only to be extended
        if method != OFF:
            raise UsageError(f'early_stop = "{method}" and on_inconclusive = "extend" both say when {evaluation.label} '
                             "needs no more items: leave out one of them, or --slmsec-limit.")  # fmt: skip
        return two_stage_design(limit.positions(n), n)
    if method == OFF or not is_compared:
        return None
    if gate.scope != "benchmark":
        _check(evaluation, rule, method)
    return early_stopping_design(method, n, settings.window, _strata(evaluation) if gate.scope != "benchmark" else None)


def _check(evaluation: Evaluation, rule: Rule, method: str) -> None:
    """Refuse benchmarks that cannot stop early, as far as this is known before the run; the rest when judged."""
    from pytest_slmsec.gates.decision.methods import clusters_forbid, real_needs_anytime

    metric = evaluation.metric
    wanted = rule.metrics or ((P_CORRECT, metric.name) if evaluation.task.by_choice else (metric.name,))
    for name in wanted if method != "anytime" else ():
        if name == P_CORRECT or not metric.binary:
            raise UsageError(real_needs_anytime(f"{evaluation.label} {name}", method))
    if evaluation.dataset.kind != "hub" and any(item.meta.get("cluster") is not None for item in evaluation.items):
        raise UsageError(f"{evaluation.label}: {clusters_forbid(method)}")


def _strata(evaluation: Evaluation) -> list[str] | None:
    """The part of its benchmark that each item belongs to; the items of the hub are not read before the run."""
    names = [] if evaluation.dataset.kind == "hub" else [item.meta.get(SUBSET) for item in evaluation.items]
    return [str(name) for name in names] if names and None not in names else None
