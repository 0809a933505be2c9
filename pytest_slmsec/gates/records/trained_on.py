"""Scores of a pair of runs with and without the items that stand in the training data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.items import ALL_SEEN, TRAINED_ON, TRAINED_OVERLAP
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.categories import part_of
from pytest_slmsec.gates.records.comparability import Pair


def refuse_trained(*runs: BenchmarkRun) -> None:
    """Refuse to judge a benchmark on which a model was knowingly trained (``--allow-overlap`` of ``slmsec finetune``).

    Raises:
        CompareError: names the model and how many items it was trained on.
    """
    for run in runs:
        extra = (run.facts.get("engine") or {}).get("extra") or {}
        task = str(run.facts.get("task", run.benchmark)).partition("+")[0]  # variants are texts of the same items
        count = (extra.get(TRAINED_OVERLAP) or {}).get(task)
        if count:
            raise CompareError(f"{run.model} was trained on {counted(count, 'item')} of {run.benchmark}, so the score "
                               "is memory: train it without them, or judge it on other benchmarks.")  # fmt: skip


@dataclass(frozen=True, slots=True)
class WithoutSeen:
    """What the items say that stand in no training data.

    Attributes:
        items, seen: of the benchmark, and of them in the training data.
        base, candidate: mean scores of all items, in the unit of the metric.
        base_without, candidate_without: of the items that are not in the training data; None where there are none.
        reason: why they are None.
    """

    items: int
    seen: int
    base: float
    candidate: float
    base_without: float | None
    candidate_without: float | None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The numbers as plain data."""
        return asdict(self)


def without_seen(pair: Pair) -> WithoutSeen | None:
    """The scores with and without seen items. Seen is what either run says; None where neither looked."""
    columns = [run.columns.get(TRAINED_ON) for run in (pair.base, pair.candidate)]
    known = [column for column in columns if column is not None]
    if not known:
        return None
    rows = [row for row, flags in enumerate(zip(*known, strict=True)) if not any(flags)]
    base, candidate = (float(run.values.mean()) for run in (pair.base, pair.candidate))
    seen = pair.base.n - len(rows)
    if not rows:
        return WithoutSeen(pair.base.n, seen, base, candidate, None, None, ALL_SEEN)
    rest = part_of(pair, rows)
    base_rest, candidate_rest = (float(run.values.mean()) for run in (rest.base, rest.candidate))
    return WithoutSeen(pair.base.n, seen, base, candidate, base_rest, candidate_rest)
