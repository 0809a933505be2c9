"""A judge's verdicts on the answers of candidate and base, as they stand in a record: with the candidate's items."""

from __future__ import annotations

from typing import Any

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.core.identity import sha256_text
from pytest_slmsec.core.items import PAIR_JUDGE, PAIR_VERDICTS
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.gates.statistics.judge_habits import Judged, from_plain


def verdicts_of_run(run: BenchmarkRun) -> list[Judged]:
    """All verdicts of a candidate's run, both orders of each item; none where no judge was asked.

    Raises:
        CompareError: they are damaged.
    """
    column, facts = run.columns.get(PAIR_VERDICTS), run.facts.get(PAIR_JUDGE)
    if column is None or facts is None:
        return []
    judge, items = str(facts["model"]), [str(item) for item in run.columns["item"]]
    clusters = [item if name is None else str(name) for item, name in zip(items, _clusters(run), strict=True)]
    return [from_plain(verdict, item, cluster, judge)
            for item, cluster, both in zip(items, clusters, column, strict=True) for verdict in both or ()]  # fmt: skip


def _clusters(run: BenchmarkRun) -> Any:
    return run.columns.get("cluster") or [None] * run.n


def verdicts_of_pair(pair: Pair) -> list[Judged]:
    """The verdicts on exactly these two runs.

    Raises:
        CompareError: they are damaged, or on answers of another base or another run of it.
    """
    found, run = verdicts_of_run(pair.candidate), pair.candidate
    if not found:
        return []
    base = str(run.facts[PAIR_JUDGE]["base"])
    if base != pair.base.model:
        raise CompareError(f"{run.name}: the judge compared it with {base} and not with {pair.base.model}; have it "
                           "judged again (--slmsec-pair-judge).")  # fmt: skip
    shown = {str(item): {base: sha256_text(old or ""), run.model: sha256_text(new or "")} for item, old, new in
             zip(run.columns["item"], pair.base.columns["text"], run.columns["text"], strict=True)}  # fmt: skip
    for verdict in found:
        digests = {verdict.first: verdict.first_sha256, verdict.second: verdict.second_sha256}
        if digests != shown[verdict.item]:
            raise CompareError(f"{run.name}, item {verdict.item}: the judge saw other answers than these two runs "
                               "hold; have it judged again (--slmsec-pair-judge).")  # fmt: skip
    return found
