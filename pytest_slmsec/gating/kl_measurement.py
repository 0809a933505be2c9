"""Measures the KL of a candidate's next-token distributions from those of its base, on the base's own answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, NamedTuple

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.core.errors import EngineError, UsageError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.items import Choose, Item
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.gates.decision.cost_gates import KL, live_fidelity
from pytest_slmsec.gates.decision.judged import Judged
from pytest_slmsec.gates.policy.config import Fidelity, GateConfig
from pytest_slmsec.gates.records.topk_distributions import PARTITION, TOP, Kept
from pytest_slmsec.gates.statistics.kl_bound import (
    KL_BUDGET_BY_BITS,
    TopK,
    coarse_kl,
    coarse_tv,
    fidelity_gate,
    recorded_budget,
    same_top,
)
from pytest_slmsec.gates.statistics.margins import Recorded
from pytest_slmsec.gates.statistics.result import Verdict

SMALLEST = 1e-12
WHOLE = "whole vocabulary"


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two models lie apart along the base's answers.

    Attributes:
        kl: mean KL(base || candidate) of each answer, nats a token. tv: mean total variation of each, in [0, 1].
        same_top: share of all places at which both find the same token likeliest. places: tokens in all.
        partition: over which tokens: all of them, or the likeliest of each place with the rest as one; then `kl` and
            `tv` are lower bounds.
        asked: label of the benchmark and id of the item that each answer is to.
    """

    kl: tuple[float, ...]
    tv: tuple[float, ...]
    same_top: float
    places: int
    partition: str = WHOLE
    asked: tuple[tuple[str, str], ...] = ()

    def record(self, base: str) -> dict[str, Any]:
        """What is stored of it."""
        return {"base": base, "kl": fmean(self.kl), "tv": fmean(self.tv), "same_top": self.same_top,
                "items": len(self.kl), "places": self.places, "partition": self.partition,
                **({"each": self._each()} if self.asked else {})}  # fmt: skip

    def _each(self) -> dict[str, list[Any]]:
        """The KL of each answer, as columns."""
        return {"benchmark": [name for name, _ in self.asked], "item": [item for _, item in self.asked],
                "kl": list(self.kl)}  # fmt: skip


def kl_budget(
    wanted: Fidelity, candidate: ModelSpec, recorded: Mapping[str, Any] | None, measured: Distance, update: bool
) -> float | None:
    """The budget in nats a token: as set, else that of the width of the weights.

    Args:
        recorded: what the baseline holds of this candidate. update: this run updates the baseline.

    Returns:
        None if this run makes the first record, with which later runs are compared.

    Raises:
        UsageError: none is set or recorded, and none is known for this quantisation.
    """
    if isinstance(wanted.budget, Recorded):
        same = recorded is not None and recorded.get("partition") == measured.partition
        if not same and not update:
            what = "no KL" if recorded is None else f"no KL over the {measured.partition}"
            raise UsageError(f'[tool.slmsec.gate.fidelity] budget = "recorded": the baseline holds {what} of '
                             f"{candidate.name}; record one with --slmsec-baseline=FILE --slmsec-update-baseline, or "
                             "set a number.")  # fmt: skip
        return recorded_budget(float(recorded["kl"]), wanted.budget.factor) if recorded is not None and same else None
    bits = re.search(r"\d+", candidate.quant or "")
    budget = wanted.budget or (KL_BUDGET_BY_BITS.get(int(bits[0])) if bits else None)
    if budget is None:
        raise UsageError(f"[tool.slmsec.gate.fidelity]: no budget is known for the quantisation {candidate.quant!r}; "
                         "set one in nats a token, such as budget = 0.05.")  # fmt: skip
    return budget


def judged_distance(distance: Distance, budget: float | None, config: GateConfig, wanted: Fidelity) -> Judged:
    """The gate on a distance. Without a budget it is shown only, and becomes the record."""
    mean, sound = fmean(distance.kl), distance.partition == WHOLE or isinstance(wanted.budget, Recorded)
    result = fidelity_gate(distance.kl, budget or max(mean, SMALLEST), config.alpha, gate=KL, same_partition=sound)
    agreement = (f"The likeliest token is the same in {100 * distance.same_top:.1f} % of {distance.places:,} places; "
                 f"the total variation is {fmean(distance.tv):.3f}.")  # fmt: skip
    details = {**result.details, "same_top": distance.same_top, "tv": fmean(distance.tv), "places": distance.places}
    result = replace(result, reasons=(*result.reasons, agreement), details=details)
    if budget is None:
        first = "It is the first one measured: accepted, it becomes the record that the next ones are held against."
        open_one = replace(result, verdict=Verdict.INCONCLUSIVE, p_fail=None, reasons=(*result.reasons, first))
        return replace(live_fidelity(open_one, wanted.blocks), advisory=True)
    return live_fidelity(result, wanted.blocks)


def forced(cases: Sequence[Case], texts: Mapping[tuple[str, str], str], items: int) -> dict[tuple[str, str], Choose]:
    """The answers that the base gave, as continuations to be scored: at most `items`, evenly spread over all.

    Args:
        texts: what the base wrote, by label and id of the item.

    Returns:
        The requests, by label and id of the item.
    """
    found: dict[tuple[str, str], Choose] = {}
    for case in cases:
        key = case.evaluation.label, case.item.id
        if texts.get(key) and key not in found:
            found[key] = Choose(case.item.id, case.item.messages(), (texts[key],))
    if len(found) <= items:
        return found
    keys = list(found)
    return {key: found[key] for key in (keys[round(place * len(keys) / items)] for place in range(items))}


def measure_kl(
    base: ModelSpec, candidate: ModelSpec, make_engine: Callable[[ModelSpec], Engine], requests: Sequence[Choose],
) -> Distance:  # fmt: skip
    """Load both models and measure how far they lie apart, over the whole vocabulary.

    Raises:
        ModelError: a model cannot be loaded beside the other. EngineError: no logits to be had.
    """
    engines: list[Any] = []
    try:
        engines += [make_engine(base)]
        engines += [make_engine(candidate)]
        return distance(engines[0], engines[1], requests)
    finally:
        for engine in engines:
            engine.close()


def measure_kl_to(
    kept: Sequence[tuple[Kept, Item]], candidate: ModelSpec, make_engine: Callable[[ModelSpec], Engine]
) -> Distance:
    """Load a candidate and measure its distance from what was kept of its base; a lower bound (`statistics.kl_bound`).

    Args:
        kept: distributions, each with the item that the answer is to.

    Raises:
        ModelError: the model cannot be loaded. EngineError: no logits, or it cuts a text into other tokens.
    """
    engine: Any = make_engine(candidate)
    try:
        _must_have_logits(engine)
        found = [_along_kept(engine, one, Choose(item.id, item.messages(), (one.text,))) for one, item in kept]
        return _pooled(found, PARTITION)
    finally:
        engine.close()


def keep(
    model: ModelSpec, make_engine: Callable[[ModelSpec], Engine], answers: Mapping[tuple[str, str], Choose]
) -> list[Kept]:
    """Load a model and keep its distributions along its own answers.

    Raises:
        ModelError: it cannot be loaded. EngineError: no logits to be had.
    """
    engine: Any = make_engine(model)
    try:
        _must_have_logits(engine)
        return [_kept(engine, key, request) for key, request in answers.items()]
    finally:
        engine.close()


def _kept(engine: Any, key: tuple[str, str], request: Choose) -> Kept:
    (row,) = engine.prompts.encode([request])
    logprobs = _logprobs(engine, row.prompt, row.choices[0])
    top = logprobs.topk(min(TOP, logprobs.shape[1]), dim=-1)
    tail = (1 - top.values.exp().sum(dim=-1)).clamp(min=0.0)
    return Kept(*key, request.choices[0], _digest(row), TopK(top.indices.numpy(), top.values.numpy(), tail.numpy()))


def _along_kept(engine: Any, kept: Kept, request: Choose) -> AnswerDistance:
    (row,) = engine.prompts.encode([request])
    if _digest(row) != kept.tokens:
        raise EngineError(f"{request.id}: base and candidate cut the same text into different tokens.")
    import torch

    logprobs = _logprobs(engine, row.prompt, row.choices[0])
    theirs = logprobs.gather(1, torch.as_tensor(kept.top.ids))
    tail = (1 - theirs.exp().sum(dim=-1)).clamp(min=0.0)
    own = logprobs.max(dim=-1, keepdim=True)
    listed = TopK(kept.top.ids, theirs.numpy(), tail.numpy())
    same = same_top(kept.top, TopK(own.indices.numpy(), own.values.numpy()))
    kl, tv = float(coarse_kl(kept.top, listed).mean()), float(coarse_tv(kept.top, listed).mean())
    return AnswerDistance(kl, tv, int(same.sum()), len(same))


def _digest(row: Any) -> str:
    return sha256_json([list(row.prompt), list(row.choices[0])])[:16]


def _must_have_logits(engine: Any) -> None:
    if not hasattr(engine, "logits"):
        raise EngineError(f"The distance of {engine.info.engine} cannot be measured: it gives no logits.")


class AnswerDistance(NamedTuple):
    """One answer: mean KL and mean total variation, places with the same likeliest token, and all places."""

    kl: float
    tv: float
    same: int
    places: int


def _pooled(found: Sequence[AnswerDistance], partition: str) -> Distance:
    places = sum(one.places for one in found)
    return Distance(tuple(one.kl for one in found), tuple(one.tv for one in found),
                    sum(one.same for one in found) / places, places, partition)  # fmt: skip


def distance(base: Any, candidate: Any, requests: Sequence[Choose]) -> Distance:
    """The distance over the tokens of each answer, with its end left out.

    Raises:
        EngineError: an engine gives no logits, or the models cut a text into different tokens.
    """
    for engine in (base, candidate):
        _must_have_logits(engine)
    return _pooled([_along(base, candidate, request) for request in requests], WHOLE)


def _along(base: Any, candidate: Any, request: Choose) -> AnswerDistance:
    rows = [engine.prompts.encode([request])[0] for engine in (base, candidate)]
    if (rows[0].prompt, rows[0].choices) != (rows[1].prompt, rows[1].choices):
        raise EngineError(f"{request.id}: base and candidate cut the same text into different tokens.")
    ours, theirs = (_logprobs(engine, rows[0].prompt, rows[0].choices[0]) for engine in (base, candidate))
    kl = max(0.0, float((ours.exp() * (ours - theirs)).sum(dim=-1).mean()))
    tv = float((ours.exp() - theirs.exp()).abs().sum(dim=-1).mean()) / 2
    return AnswerDistance(kl, tv, int((ours.argmax(dim=-1) == theirs.argmax(dim=-1)).sum()), len(ours))


def _logprobs(engine: Any, prompt: Sequence[int], answer: Sequence[int]) -> Any:
    """Natural-log probabilities where each token of `answer` is due, shape (tokens, vocabulary)."""
    logits = engine.logits([*prompt, *answer], len(prompt) - 1)
    return logits[:-1].double().log_softmax(dim=-1).cpu()
