"""How far a candidate moved from its base on each item: the KL divergence of what they find likely."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pytest_slmsec.gates.records.comparability import Pair
from pytest_slmsec.reports.page.calibration import shares
from pytest_slmsec.reports.page.records import Report, real

OPTIONS = "options"


class ItemDistance(NamedTuple):
    """One item: KL(base || candidate) in nats, and over what.

    `over`: `OPTIONS`, or the partition of the vocabulary over which the gate measured it (``whole vocabulary``,
    ``top 64``); then `kl` is the mean of the tokens of the base's answer.
    """

    benchmark: str
    candidate: str
    base: str
    item: str
    kl: float
    over: str


def distances(report: Report) -> list[ItemDistance]:
    """Every distance that is recorded: what the gate measured, and what the options of choices give."""
    return [*_measured(report), *_of_options(report)]


def option_kl(base: Sequence[Any] | None, candidate: Sequence[Any] | None) -> float | None:
    """KL(base || candidate) over the options of one item, from the log-probabilities that both gave them.

    The log-probabilities of the options are made to sum to 1 first, as for p(correct). It is therefore the distance
    between two choices, and no bound of the distance over the whole vocabulary, which takes a second pass of both
    models (`gating/kl_measurement.py`). Source: Kullback & Leibler, Annals of Mathematical Statistics 22:79, 1951.

    Returns:
        Nats, at least 0; None where one of them has no finite log-probability for each option.
    """
    p, q = (shares(found) for found in (base, candidate))
    if p is None or q is None or len(p) != len(q):
        return None
    terms = [a * (math.log(a) - math.log(b)) for a, b in zip(p, q, strict=True) if a > 0 and b > 0]
    return max(math.fsum(terms), 0.0) if all(b > 0 for a, b in zip(p, q, strict=True) if a > 0) else None


def _of_options(report: Report) -> Iterator[ItemDistance]:
    for judgement in report.judgements:
        for pair in judgement.pairs:
            for item, kl in _pair(pair):
                yield ItemDistance(pair.base.benchmark, judgement.candidate, judgement.base, item, kl, OPTIONS)


def _pair(pair: Pair) -> Iterator[tuple[str, float]]:
    columns = (pair.base.columns["item"], pair.base.columns["logprobs"], pair.candidate.columns["logprobs"])
    for item, before, after in zip(*columns, strict=True):
        kl = option_kl(before, after)
        if kl is not None:
            yield str(item), kl


def _measured(report: Report) -> Iterator[ItemDistance]:
    """What the records hold of each candidate; of several records the newest."""
    newest = {str(model): facts for record in report.records for model, facts in record.fidelity.items()
              if isinstance(facts, Mapping)}  # fmt: skip
    for model, facts in newest.items():
        each = facts.get("each")
        columns = [each.get(key) for key in ("benchmark", "item", "kl")] if isinstance(each, Mapping) else []
        if not columns or not all(isinstance(column, list) for column in columns):
            continue
        for benchmark, item, value in zip(*columns, strict=False):
            if (kl := real(value)) is not None:
                yield ItemDistance(str(benchmark), model, str(facts.get("base")), str(item), kl,
                                   str(facts.get("partition")))  # fmt: skip
