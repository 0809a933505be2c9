"""Latency of one request at a time, after a warm-up: what a device feels like, and not what a batch hides."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from statistics import quantiles
from typing import Any

from pytest_slmsec.core.items import Request
from pytest_slmsec.engines.common.base import Engine

WARM_UP_RUNS = 10
WARM_UP_S = 10.0
RUNS = 30
FEWEST = 5
MOST_S = 60.0


@dataclass(frozen=True, slots=True)
class SingleRequests:
    """Seconds of one request at a time: median and 90th percentile of `n`; None where there are none, and `reason`."""

    n: int
    p50_s: float | None
    p90_s: float | None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data, for the record."""
        return asdict(self)


def measure(
    engine: Engine, requests: Sequence[Request], warm: bool, clock: Callable[[], float] = time.perf_counter
) -> SingleRequests:
    """Ask requests one at a time, in turn, and time each: `RUNS`, or fewer where they take more than `MOST_S`.

    Args:
        warm: the model has had its warm-up of `WARM_UP_RUNS` and `WARM_UP_S` already.
    """
    turn = cycle(requests)
    if not warm:
        _warm_up(engine, turn, clock)
    began, times = clock(), list[float]()
    while len(times) < RUNS and (len(times) < FEWEST or clock() - began < MOST_S):
        start = clock()
        output = engine.run([next(turn)]).outputs[0]
        times.append(clock() - start)
        if output.error is not None:
            return SingleRequests(0, None, None, output.error)
    deciles = quantiles(times, n=10, method="inclusive")
    return SingleRequests(len(times), deciles[4], deciles[8])


def _warm_up(engine: Engine, turn: cycle[Request], clock: Callable[[], float]) -> None:
    began, runs = clock(), 0
    while runs < WARM_UP_RUNS or clock() - began < WARM_UP_S:
        engine.run([next(turn)])
        runs += 1
