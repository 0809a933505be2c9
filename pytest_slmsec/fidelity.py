"""How far the candidate's next-token distributions lie from its base's, along the base's own answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from pytest_slmsec.cases import Case
from pytest_slmsec.core.errors import EngineError, UsageError
from pytest_slmsec.core.items import Choose
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.base import Engine
from pytest_slmsec.gates.config import Fidelity, GateConfig
from pytest_slmsec.gates.costs import KL, live_fidelity
from pytest_slmsec.gates.fidelity import KL_BUDGET_BY_BITS, fidelity_gate, recorded_budget
from pytest_slmsec.gates.scores import Judged
from pytest_slmsec.gates.units import Recorded
from pytest_slmsec.gates.verdict import Verdict

SMALLEST = 1e-12


@dataclass(frozen=True, slots=True)
class Distance:
    """How far two models lie apart along the base's answers.

    Attributes:
        kl: mean KL(base || candidate) of each answer, nats a token. tv: mean total variation of each, in [0, 1].
        same_top: share of all places at which both find the same token likeliest. places: tokens in all.
    """

    kl: tuple[float, ...]
    tv: tuple[float, ...]
    same_top: float
    places: int

    def record(self, base: str) -> dict[str, Any]:
        """What is stored of it."""
        return {"base": base, "kl": fmean(self.kl), "tv": fmean(self.tv), "same_top": self.same_top,
                "items": len(self.kl), "places": self.places}  # fmt: skip


def kl_budget(wanted: Fidelity, candidate: ModelSpec, recorded: float | None, update: bool) -> float | None:
    """The budget in nats a token: as set, else that of the width of the weights.

    Args:
        recorded: what the baseline holds of this candidate. update: this run updates the baseline.

    Returns:
        None where this run makes the first record, against which the next ones are held.

    Raises:
        UsageError: none is set or recorded, and none is known for this quantisation.
    """
    if isinstance(wanted.budget, Recorded):
        if recorded is None and not update:
            raise UsageError(f'[tool.slmsec.gate.fidelity] budget = "recorded": the baseline holds no KL of '
                             f"{candidate.name}; record one with --slmsec-baseline=FILE --slmsec-update-baseline in a "
                             "run of both models, or set a number.")  # fmt: skip
        return None if recorded is None else recorded_budget(recorded, wanted.budget.factor)
    bits = re.search(r"\d+", candidate.quant or "")
    budget = wanted.budget or (KL_BUDGET_BY_BITS.get(int(bits[0])) if bits else None)
    if budget is None:
        raise UsageError(f"[tool.slmsec.gate.fidelity]: no budget is known for the quantisation {candidate.quant!r}; "
                         "set one in nats a token, such as budget = 0.05.")  # fmt: skip
    return budget


def judged_distance(distance: Distance, budget: float | None, config: GateConfig, blocks: bool) -> Judged:
    """The gate on a distance. Without a budget it is shown only, and becomes the record."""
    mean = fmean(distance.kl)
    result = fidelity_gate(distance.kl, budget or max(mean, SMALLEST), config.alpha, gate=KL)
    beside = (f"The likeliest token is the same in {100 * distance.same_top:.1f} % of {distance.places:,} places; the "
              f"total variation is {fmean(distance.tv):.3f}.")  # fmt: skip
    details = {**result.details, "same_top": distance.same_top, "tv": fmean(distance.tv), "places": distance.places}
    result = replace(result, reasons=(*result.reasons, beside), details=details)
    if budget is None:
        first = "It is the first one measured: accepted, it becomes the record that the next ones are held against."
        open_one = replace(result, verdict=Verdict.INCONCLUSIVE, p_fail=None, reasons=(*result.reasons, first))
        return replace(live_fidelity(open_one, blocks), advisory=True)
    return live_fidelity(result, blocks)


def forced(cases: Sequence[Case], texts: Mapping[tuple[str, str], str], items: int) -> list[Choose]:
    """The answers that the base gave, as continuations to be scored: at most `items`, evenly spread over all.

    Args:
        texts: what the base wrote, by label and id of the item.
    """
    found: dict[tuple[str, str], Choose] = {}
    for case in cases:
        key = case.group.label, case.item.id
        if texts.get(key) and key not in found:
            found[key] = Choose(case.item.id, case.item.messages(), (texts[key],))
    requests = list(found.values())
    return (
        [requests[round(place * len(requests) / items)] for place in range(items)]
        if len(requests) > items
        else requests
    )


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


def distance(base: Any, candidate: Any, requests: Sequence[Choose]) -> Distance:
    """The distance over the tokens of each answer, with its end left out.

    Raises:
        EngineError: an engine gives no logits, or the models cut a text into different tokens.
    """
    for engine in (base, candidate):
        if not hasattr(engine, "network"):
            raise EngineError(f"The distance of {engine.info.engine} cannot be measured: it gives no logits.")
    found = [_along(base, candidate, request) for request in requests]
    places = sum(n for _, _, _, n in found)
    return Distance(tuple(kl for kl, _, _, _ in found), tuple(tv for _, tv, _, _ in found),
                    sum(same for _, _, same, _ in found) / places, places)  # fmt: skip


def _along(base: Any, candidate: Any, request: Choose) -> tuple[float, float, int, int]:
    """Mean KL and mean total variation along one answer, places with the same likeliest token, and all places."""
    rows = [engine.prompts.encode([request])[0] for engine in (base, candidate)]
    if (rows[0].prompt, rows[0].choices) != (rows[1].prompt, rows[1].choices):
        raise EngineError(f"{request.id}: base and candidate cut the same text into different tokens.")
    ours, theirs = (_logprobs(engine, rows[0].prompt, rows[0].choices[0]) for engine in (base, candidate))
    kl = max(0.0, float((ours.exp() * (ours - theirs)).sum(dim=-1).mean()))
    tv = float((ours.exp() - theirs.exp()).abs().sum(dim=-1).mean()) / 2
    return kl, tv, int((ours.argmax(dim=-1) == theirs.argmax(dim=-1)).sum()), len(ours)


def _logprobs(engine: Any, prompt: Sequence[int], answer: Sequence[int]) -> Any:
    """Natural-log probabilities where each token of `answer` is due, shape (tokens, vocabulary)."""
    import torch

    ids = torch.tensor([[*prompt, *answer]], device=engine.network.device)
    with torch.inference_mode():
        logits = engine.network.model(input_ids=ids, use_cache=False).logits[0]
    return logits[len(prompt) - 1 : -1].double().log_softmax(dim=-1).cpu()
