"""The cases behind tests with the fixture `slm_pair`: their order, and their answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from pytest_slmsec.collection.cases import Case, Evaluation
from pytest_slmsec.collection.parametrize import cases_of
from pytest_slmsec.collection.trained_on import TrainedOn
from pytest_slmsec.config.settings import Settings
from pytest_slmsec.execution.runner import Run
from pytest_slmsec.gates.statistics.sequential_design import FACT, SequentialDesign
from pytest_slmsec.gating.early_stopping import design_of_evaluation
from pytest_slmsec.gating.marker import gate_config, rule_of
from pytest_slmsec.gating.pairing import pair_case_of
from pytest_slmsec.reports import payload
from pytest_slmsec.reports.evaluation_results import EvaluationResult, EvaluationResults


class PairRuns:
    """Base and candidate of every pair, measured on demand.

    Args:
        run: answers the cases; answers that it has already are not asked again.
        trained_on: knows which items stand in the training data.
    """

    def __init__(self, config: pytest.Config, settings: Settings, run: Run, trained_on: TrainedOn) -> None:
        self._config, self._settings, self._run, self._trained_on = config, settings, run, trained_on
        self._cases: dict[Evaluation, list[Case]] = {}
        self._designs: dict[Evaluation, SequentialDesign] = {}

    def arrange(self, items: Sequence[pytest.Item]) -> None:
        """Take the cases of all collected pairs. Those that may stop early are put into the order of their design.

        Raises:
            UsageError: a pair is to stop early, but what is judged does not allow it.
        """
        self._cases = cases_of_pairs(items)
        self._designs = designs_of_pairs(items, self._config, self._settings)
        for evaluation, design in self._designs.items():
            by_row = {case.row: case for case in self._cases[evaluation]}
            self._cases[evaluation] = [by_row[row] for row in design.item_order]

    @property
    def cases(self) -> Iterable[Case]:
        """Every case behind a pair."""
        return (case for cases in self._cases.values() for case in cases)

    def segments(self) -> dict[Case, int]:
        """The number of interim looks before each case; only of pairs that may stop early."""
        return {case: design.segment(place) for evaluation, design in self._designs.items()
                for place, case in enumerate(self._cases[evaluation])}  # fmt: skip

    def design(self, evaluation: Evaluation) -> SequentialDesign | None:
        """The sequential design of an evaluation behind a pair; None where it always runs to its end."""
        return self._designs.get(evaluation)

    def measured(self, evaluation: Evaluation, item: pytest.Item, first: int | None = None) -> EvaluationResult:
        """Measure the items of an evaluation.

        Args:
            item: the test of the pair. first: number of items, in the order of the design; None: all.

        Raises:
            SlmsecError: the model cannot be loaded, or the items cannot be read.
        """
        found, header, stored, design = EvaluationResults(), None, set[int](), self._designs.get(evaluation)
        for case in self._cases[evaluation][:first]:
            answer = self._run.answer(case)
            header = header or payload.header(evaluation, self._run.info, item.nodeid.partition("::")[0])
            header |= self._trained_on.header | ({} if design is None else {FACT: design.to_json()})
            batch = (self._run.take(case) or (None, None))[1]
            data = {"row": payload.row(case, answer, self._trained_on.seen(case)), "header": payload.plain(header)}
            if batch is not None and id(batch) not in stored:
                stored.add(id(batch))
                data["batch"] = payload.batch(batch)
            found.add(data, evaluation.metric)
        result = found.by_key[evaluation.label, evaluation.model.name]
        result.stopped = first if design is not None and first != design.n_total else None
        return result


def designs_of_pairs(
    items: Sequence[pytest.Item], config: pytest.Config, settings: Settings
) -> dict[Evaluation, SequentialDesign]:
    """The designs of the evaluations behind all pairs that may stop before their end.

    Raises:
        UsageError: one is to stop early, but what is judged does not allow it.
    """
    found = {}
    for item in items:
        pair = pair_case_of(item)
        if pair is None:
            continue
        gate = gate_config(config)
        rule = rule_of(item, pair.candidate, gate)
        for evaluation in pair.evaluations:
            design = design_of_evaluation(evaluation, rule, gate, settings, evaluation is pair.candidate)
            found.update({} if design is None else {evaluation: design})
    return found


def cases_of_pairs(items: Sequence[pytest.Item]) -> dict[Evaluation, list[Case]]:
    """The cases behind all pairs, by evaluation."""
    pairs = [case for item in items if (case := pair_case_of(item)) is not None]
    return {evaluation: cases_of(evaluation) for pair in pairs for evaluation in pair.evaluations}
