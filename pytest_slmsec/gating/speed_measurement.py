"""Measures the speed of base and candidate in turns in one process: a machine that slows down slows both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from statistics import median

from pytest_slmsec.collection.cases import Case
from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.core.items import Generate
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.engines.common.base import Engine
from pytest_slmsec.gates.decision.cost_gates import SPEED
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.statistics.paired_throughput import abba_order, round_ratios, throughput_gate
from pytest_slmsec.gates.statistics.result import GateResult

ITEMS = 16
NEW_TOKENS = 64
WARM_UP_RUNS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """What the rounds found: the gate, and the median tokens per second of base and candidate."""

    result: GateResult
    base_tokens_per_s: float
    candidate_tokens_per_s: float


def workload(cases: Sequence[Case]) -> list[Generate]:
    """Up to 16 requests of the first benchmark that generates text, evenly spread over it, at most 64 tokens each."""
    evaluation = next((case.evaluation for case in cases if not case.evaluation.task.by_choice), None)
    chosen = [case for case in cases if case.evaluation is evaluation and evaluation is not None]
    step = max(1, len(chosen) // ITEMS)
    requests = [case.evaluation.request(case.item) for case in chosen[::step][:ITEMS]]
    return [
        replace(request, max_new_tokens=min(request.max_new_tokens, NEW_TOKENS))
        for request in requests
        if isinstance(request, Generate)
    ]


def measure_speed(
    base: ModelSpec, candidate: ModelSpec, make_engine: Callable[[ModelSpec], Engine], requests: Sequence[Generate],
    config: GateConfig, rounds: int,
) -> Speed:  # fmt: skip
    """Load both models and let them answer the same requests in the order A B B A, B A A B, and so on.

    Raises:
        ModelError: a model cannot be loaded beside the other. EngineError: a request failed, or nothing was generated.
    """
    engines: dict[str, Engine] = {}
    try:
        for side, spec in (("A", base), ("B", candidate)):
            engines[side] = make_engine(spec)
            for _ in range(WARM_UP_RUNS):
                seconds_per_token(engines[side], requests)
        seconds = [[seconds_per_token(engines[side], requests) for side in order] for order in abba_order(rounds)]
    finally:
        for engine in engines.values():
            engine.close()
    ratios = round_ratios(seconds)
    result = throughput_gate(ratios.candidate_over_base, config.max_slowdown, config.alpha,
                             base_log_ratios=ratios.base_over_base, gate=SPEED)  # fmt: skip
    flat = list(zip(chain.from_iterable(abba_order(rounds)), chain.from_iterable(seconds), strict=True))
    return Speed(result, *(1 / median(s for turn, s in flat if turn == side) for side in "AB"))


def seconds_per_token(engine: Engine, requests: Sequence[Generate]) -> float:
    """Decode seconds a token over all requests; where an engine does not time decoding, all seconds a token.

    Raises:
        EngineError: a request failed, or nothing was generated.
    """
    seconds, tokens = 0.0, 0
    for indices in engine.plan(requests):
        batch = engine.run([requests[index] for index in indices])
        failed = [output.error for output in batch.outputs if output.error is not None]
        if failed:
            raise EngineError(f"The speed could not be measured: {failed[0]}")
        timing, made = batch.timing, sum(output.new_tokens or 0 for output in batch.outputs)
        decoded = made - len(indices)  # the first token of each answer comes out of prefill
        timed = timing.decode_s is not None and timing.decode_s > 0 and decoded > 0
        seconds += (timing.decode_s or 0.0) if timed else (timing.seconds or 0.0)
        tokens += decoded if timed else made
    if tokens <= 0 or seconds <= 0:
        raise EngineError("The speed could not be measured: the models generated no text.")
    return seconds / tokens
