"""Latency of one request at a time: warm-up, percentiles, and how long it may take. The clock is one of the test, so
nothing waits."""

from types import SimpleNamespace

import pytest

from pytest_slmsec.core.items import Generate, Message, Output
from pytest_slmsec.devices.latency import measure

REQUESTS = [Generate(f"item{n}", (Message("user", "?"),), 8) for n in range(3)]


class Slow:
    """An engine that moves a clock on by so many seconds at each request."""

    def __init__(self, seconds, error=None):
        self.now, self.asked, self._seconds, self._error = 0.0, [], seconds, error

    def run(self, requests):
        (request,) = requests
        self.asked.append(request.id)
        self.now += self._seconds(len(self.asked))
        return SimpleNamespace(outputs=[Output(text="22", error=self._error)])

    def clock(self):
        return self.now


def test_a_warm_up_takes_ten_runs_and_ten_seconds():
    slow = Slow(lambda n: 3.0)
    measure(slow, REQUESTS, False, slow.clock)
    assert len(slow.asked) == 10 + 20  # ten runs are 30 s; twenty more fill the minute
    fast = Slow(lambda n: 0.5)
    assert measure(fast, REQUESTS, False, fast.clock).n == 30
    assert len(fast.asked) == 20 + 30  # ten seconds are twenty runs
    assert fast.asked[:4] == ["item0", "item1", "item2", "item0"]


def test_percentiles_are_of_the_runs_after_the_warm_up():
    engine = Slow(lambda n: 1.0 if n % 10 == 0 else 0.1)
    found = measure(engine, REQUESTS, True, engine.clock)
    assert (found.n, found.p50_s) == (30, pytest.approx(0.1))
    assert found.p90_s == pytest.approx(0.19, abs=0.2)
    assert found.to_json()["reason"] is None


def test_very_slow_models_are_timed_five_times():
    engine = Slow(lambda n: 100.0)
    assert measure(engine, REQUESTS, True, engine.clock).n == 5


def test_a_request_that_fails_gives_no_latency_and_says_why():
    engine = Slow(lambda n: 0.1, error="item0: the prompt does not fit")
    found = measure(engine, REQUESTS, True, engine.clock)
    assert (found.p50_s, found.p90_s, found.reason) == (None, None, "item0: the prompt does not fit")
