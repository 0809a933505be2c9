"""Asks a judge which of the answers of candidate and base is better, once both have answered (``--slmsec-pair-judge``).

Each pair is shown in both orders, and equal answers are not shown at all. The verdicts go into the candidate's result
and from there into the record, so that `slmsec compare` and `slmsec arena` need no judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_slmsec.collection.ids import model_id
from pytest_slmsec.core.errors import EngineError, SlmsecError
from pytest_slmsec.core.identity import sha256_text
from pytest_slmsec.core.items import PAIR_JUDGE, PAIR_VERDICTS, Item, Output
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.gates.records.comparisons import Comparison
from pytest_slmsec.gates.statistics.judge_habits import TIED, Judged
from pytest_slmsec.gating.gated_run import GatedRun
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.gate.test_reports import GateReport
from pytest_slmsec.scoring.error_text import error_text
from pytest_slmsec.tasks.pair_judging import PROMPT_SHA256, points_of, question

FLAG = "--slmsec-pair-judge"


class Shown(NamedTuple):
    """One order of a pair, as a judge is to see it: the models and their answers."""

    item: Item
    cluster: str
    first: str
    second: str
    answers: Mapping[str, str]

    @property
    def differs(self) -> bool:
        """Whether there is anything to compare."""
        return self.answers[self.first] != self.answers[self.second]

    def verdict(self, judge: str, points: float | None, raw: str) -> Judged:
        """The verdict on this order."""
        texts = self.answers[self.first], self.answers[self.second]
        digests = sha256_text(texts[0]), sha256_text(texts[1])
        return Judged(self.item.id, self.cluster, judge, self.first, self.second, points, *digests, len(texts[0]),
                      len(texts[1]), raw)  # fmt: skip


def judge_pairs(run: GatedRun, comparisons: Sequence[Comparison]) -> Iterator[GateReport]:
    """Have the answers of every candidate judged against those of its base; a report where that fails.

    Only benchmarks of free answers are judged so (`Task.judged_in_pairs`), and only those that ran whole.
    """
    judge = run.settings.pair_judge
    if judge is None:
        return
    judged = 0
    for comparison in comparisons:
        try:
            judged += _judge(run, comparison, judge)
        except (SlmsecError, RuntimeError) as error:
            text = f"{FLAG}={judge.name}: {error}"
            yield GateReport(f"{PAIR_JUDGE}[{model_id(comparison.candidate)}]", "error", text)
            return
    if not judged:
        names = ", ".join(sorted(name for name, task in run.tasks.items() if task.judged_in_pairs))
        why = f"no pair of {names} was answered whole" if names else "no benchmark of this run is judged in pairs"
        yield GateReport(PAIR_JUDGE, "error", f"{FLAG}={judge.name}: {why} (docs/secchat.md).")


def _judge(run: GatedRun, comparison: Comparison, judge: ModelSpec) -> int:
    """Judge one candidate; returns the number of its benchmarks."""
    items = {(case.evaluation.label, case.item.id): case.item for case in run.cases
             if case.evaluation.model == comparison.candidate and case.evaluation.task.judged_in_pairs}  # fmt: skip
    count = 0
    for evaluated in run.results:
        known = {item.id: item for (label, _), item in items.items() if label == evaluated.label}
        if evaluated.model != comparison.candidate.name or not evaluated.complete or not known:
            continue
        base, texts = _base_answers(run, comparison, evaluated.label)
        if not set(known) <= set(texts):
            continue  # the comparison itself says what differs
        orders = [one for row in evaluated.measured() for one in _orders(known[row["item"]], row, base, texts)]
        _keep(evaluated, base, judge, _verdicts(run, judge, orders, f"judge {judge.name} on {evaluated.label}"))
        count += 1
    return count


def _base_answers(run: GatedRun, comparison: Comparison, label: str) -> tuple[str, dict[str, str]]:
    """Name of the base, and its answers by item: of this run, or stored."""
    if comparison.live_baseline is None:
        stored = next((one for one in comparison.stored_runs if one.benchmark == label), None)
        columns: Any = {"item": (), "text": ()} if stored is None else stored.columns
        answers = zip(columns["item"], columns["text"], strict=True)
        return "" if stored is None else stored.model, {str(item): text or "" for item, text in answers}
    base = comparison.live_baseline.name
    found = [one for one in run.results if one.model == base and one.label == label and one.complete]
    return base, {str(row["item"]): row["text"] or "" for one in found for row in one.measured()}


def _orders(item: Item, row: Mapping[str, Any], base: str, texts: Mapping[str, str]) -> list[Shown]:
    candidate, cluster = str(row["model"]), row["cluster"] or item.id
    answers = {candidate: row["text"] or "", base: texts[item.id]}
    return [Shown(item, cluster, candidate, base, answers), Shown(item, cluster, base, candidate, answers)]


def _verdicts(run: GatedRun, judge: ModelSpec, orders: Sequence[Shown], what: str) -> list[Judged]:
    """The verdict on each order; a tie on equal answers.

    Raises:
        EngineError: the judge gave no valid reply. ModelError: it cannot be loaded.
    """
    asked = [one for one in orders if one.differs]
    requests = [question(one.item, one.answers[one.first], one.answers[one.second], f"{one.first} first")
                for one in asked]  # fmt: skip
    outputs = run.ask(judge, requests, what) if requests else []
    said = iter([_reply(one, output) for one, output in zip(asked, outputs, strict=True)])
    return [_verdict(one, judge.name, next(said) if one.differs else None) for one in orders]


def _reply(shown: Shown, output: Output) -> str:
    failed = output.error or error_text(output.text or "")
    if failed is not None:
        raise EngineError(f"the judge failed on {shown.item.id}: {failed}")
    return output.text or ""


def _verdict(shown: Shown, judge: str, reply: str | None) -> Judged:
    return shown.verdict(judge, TIED, "") if reply is None else shown.verdict(judge, points_of(reply), reply)


def _keep(evaluated: EvaluationResult, base: str, judge: ModelSpec, verdicts: Sequence[Judged]) -> None:
    by_item: dict[str, list[dict[str, Any]]] = {}
    for verdict in verdicts:
        by_item.setdefault(verdict.item, []).append(verdict.to_plain())
    for row in evaluated.rows.values():
        row[PAIR_VERDICTS] = by_item[row["item"]]
    evaluated.header[PAIR_JUDGE] = {"model": judge.name, "base": base, "prompt_sha256": PROMPT_SHA256}
