"""One window ahead: what is asked in the thread, what it raises, and how it ends."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_slmsec.collection.windows import cut
from pytest_slmsec.core.items import Output
from pytest_slmsec.core.journal import StoredBatch
from pytest_slmsec.execution.batch_runner import MeasuredOutput
from pytest_slmsec.execution.prefetch import BackgroundTask, Prefetch


def no_thread_left():
    return not [thread for thread in threading.enumerate() if thread.name == "slmsec-prefetch"]


def measured(text, seconds=1.0, items=1):
    output = Output(text=text)
    return MeasuredOutput(output, StoredBatch(("k",), (output,), {"seconds": seconds, "items": items}, {}))


SLOW = measured("slow")


class Silent:
    def __init__(self):
        self.said = []

    def start(self, what, total):
        self.said.append((what, total))

    def advance(self, done):
        self.said.append(done)

    def stop(self):
        self.said.append("stop")


class Case:
    def __init__(self, group, number):
        self.evaluation, self.number = group, number


class Cases:
    """Cases of one benchmark in windows of two, and what was asked of the thread."""

    def __init__(self, n=6, source="hub", roles=(), error=None):
        group = SimpleNamespace(roles=roles, model=SimpleNamespace(source=source), what="phi3 ports")
        self.cases = [Case(group, number) for number in range(n)]
        self.windows = cut(((group.what, case) for case in self.cases), 2)
        self.asked, self.error, self.progress = [], error, Silent()
        self.prefetch = Prefetch(self.ask, self.progress)
        self.prefetch.adopt(self.windows.values())

    def ask(self, cases, advance):
        self.asked.append([case.number for case in cases])
        if self.error is not None:
            raise self.error
        advance(len(cases))
        return [measured(str(case.number)) for case in cases]

    def start(self, number, last=SLOW, known=None):
        self.prefetch.start(self.windows[self.cases[number]], last, known or {})

    def join(self, number):
        joined: Any = self.prefetch.join(self.cases[number])
        return {case.number: one.output.text for case, one in joined.items()}


def test_the_window_after_is_asked_and_given_to_whoever_joins():
    run = Cases()
    run.start(0)
    assert run.join(2) == {2: "2", 3: "3"}
    assert run.asked == [[2, 3]]
    assert run.progress.said[0] == ("phi3 ports", 2)
    assert run.progress.said[-1] == "stop"


def test_never_more_than_one_window_ahead():
    run = Cases()
    run.start(0)
    run.start(2)
    run.join(2)
    assert run.asked == [[2, 3]]


def test_nothing_comes_after_the_last_window():
    run = Cases()
    run.start(5)
    assert run.join(5) == {}
    assert run.asked == []


def test_what_is_answered_already_is_not_asked():
    run = Cases()
    run.start(0, known={run.cases[3]: SLOW})
    assert run.join(2) == {}


@pytest.mark.parametrize("kind", [{"source": "replay"}, {"source": "server"}, {"roles": {"judge": "phi3"}}])
def test_what_is_never_asked_ahead(kind):
    run = Cases(**kind)
    run.start(0)
    assert run.join(2) == {}


@pytest.mark.parametrize(
    ("last", "ahead"),
    [
        (measured("", seconds=0.1, items=8), True),
        (measured("", seconds=0.05, items=8), False),  # pytest would be a part of what is measured
        (measured("", seconds=None), False),
        (MeasuredOutput(Output(error="too long"), None), False),
    ],
)
def test_items_must_take_long_enough_for_their_time_to_be_measured(last, ahead):
    run = Cases()
    run.start(0, last)
    assert bool(run.join(2)) is ahead


def test_an_error_is_raised_for_a_case_it_was_asked_for():
    run = Cases(error=ValueError("the disk is full"))
    run.start(0)
    with pytest.raises(ValueError, match="the disk is full"):
        run.join(3)
    assert run.join(3) == {}, "told once; asked again by the case itself"


def test_an_error_is_kept_from_other_cases():
    run = Cases(error=ValueError("the disk is full"))
    run.start(0)
    assert run.join(5) == {}


def test_work_is_ended_between_two_steps():
    started, steps = threading.Event(), []

    def endless(advance):
        while True:
            steps.append(len(steps))
            started.set()

    task = BackgroundTask(endless)
    started.wait()
    task.stop()
    assert no_thread_left()


def test_work_that_is_over_may_be_stopped():
    task = BackgroundTask(lambda advance: 7)
    assert task.result() == 7
    task.stop()
    assert no_thread_left()
