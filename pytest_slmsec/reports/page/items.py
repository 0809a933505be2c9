"""Every item of the report: what is right, what changed, and in which order texts are taken while there is room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_slmsec.gates.decision.judgement import Judgement
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.categories import CATEGORY
from pytest_slmsec.gates.records.flips import flips
from pytest_slmsec.reports.page.numbers import percent
from pytest_slmsec.reports.page.records import Report

SIGN = {"lost": "l", "gained": "g", "worse": "w", "better": "b"}
SAME_RIGHT, SAME_WRONG, NOT_COMPARED = "r", "x", "-"
ORDER = "lwgbx"
"""Changes by how much a reader wants to see them; items that stay right come last."""


@dataclass(slots=True)
class ItemView:
    """One item over all models.

    Attributes:
        benchmark, item, digest, gold, category: of the record. source: where its benchmark's items come from.
        answers: by model, the row of its run. changes: a letter for each candidate of the report.
    """

    benchmark: str
    item: str
    digest: str
    gold: str
    category: str | None
    source: object
    answers: dict[str, tuple[BenchmarkRun, int]] = field(default_factory=dict)
    changes: dict[int, str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether it scores otherwise on some candidate."""
        return any(change in SIGN.values() for change in self.changes.values())

    @property
    def wrong(self) -> bool:
        """Whether some model is wrong."""
        return not all(run.columns["correct"][row] for run, row in self.answers.values())

    @property
    def rank(self) -> int:
        """Its place among all: the smaller, the sooner its texts are taken."""
        return min((ORDER.find(change) % len(ORDER + "r") for change in self.changes.values()), default=len(ORDER))


def views(report: Report) -> list[ItemView]:
    """All items, benchmark by benchmark, in the order of the record that named them first."""
    found = [view for benchmark in report.benchmarks for view in _of_benchmark(report, benchmark)]
    by_id = {(view.benchmark, digest): view for view in found for digest in [(view.digest, view.item)]}
    for number, judgement in enumerate(report.judgements):
        for (benchmark, key), change in _changes(judgement):
            if (benchmark, key) in by_id:
                by_id[benchmark, key].changes[number] = change
    return found


def _of_benchmark(report: Report, benchmark: str) -> Iterator[ItemView]:
    found: dict[tuple[str, int], ItemView] = {}
    for model in report.models:
        run = report.run(benchmark, model)
        if run is None:
            continue
        categories = run.columns.get(CATEGORY) or [None] * run.n
        for row, identity in enumerate(run.identities()):
            if identity not in found:
                found[identity] = ItemView(
                    benchmark, str(run.columns["item"][row]), identity[0], str(run.columns["gold"][row]),
                    None if categories[row] is None else str(categories[row]), run.facts.get("source"),
                )  # fmt: skip
            found[identity].answers[model] = run, row
    yield from found.values()


def _changes(judgement: Judgement) -> Iterator[tuple[tuple[str, tuple[str, str]], str]]:
    """The change of each compared item, by benchmark, digest and id of the base."""
    for pair in judgement.pairs:
        columns, benchmark = pair.base.columns, pair.base.benchmark
        changed = {flip["item"]: SIGN[flip["change"]] for flip in flips(pair)}
        for item, digest, right in zip(columns["item"], columns["sha256"], columns["correct"], strict=True):
            same = SAME_RIGHT if right else SAME_WRONG
            yield (benchmark, (str(digest), str(item))), changed.get(item, same)


def answer_of(view: ItemView, model: str, with_texts: bool) -> list[str | None] | None:
    """What a model said: text, what was read in it, thought, right or wrong, score, p(correct); None: not asked."""
    if model not in view.answers:
        return None
    run, row = view.answers[model]
    columns = run.columns
    thought = (columns.get("thought") or {row: None})[row]
    said = [columns["text"][row], columns["extracted"][row], thought] if with_texts else [None, None, None]
    outcome = "right" if columns["correct"][row] else "wrong"
    return [*said, outcome, f"{columns['value'][row]:.4g}", percent(columns["parts"][row].get("p_correct"))]


def loss(view: ItemView, judgement: Judgement) -> int:
    """How much a candidate is worse on an item, in thousandths of the metric's scale; 0 where it was not compared."""
    if not {judgement.base, judgement.candidate} <= view.answers.keys():
        return 0
    (base, before), (candidate, after) = view.answers[judgement.base], view.answers[judgement.candidate]
    drop: float = base.columns["value"][before] - candidate.columns["value"][after]
    sign = 1 if base.facts["higher_is_better"] else -1
    return round(1000 * sign * drop / float(base.facts["scale"]))
