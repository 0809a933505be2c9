"""The simulation of a campaign: bounds that no schedule can beat, and what failures cost."""

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.campaign.simulate import Failures, Work, simulate, windows
from pytest_slmsec.campaign.simulate_pool import simulate_pool
from pytest_slmsec.core.errors import UsageError

SECONDS = st.floats(0.5, 100)
WORK = st.builds(Work.of, st.floats(0, 50), st.lists(SECONDS, min_size=1, max_size=12))
WORKLOADS = st.lists(WORK, min_size=1, max_size=20)
FAILURES = st.builds(Failures, st.floats(60, 5000), st.floats(0, 300))


def list_schedule_s(sessions, workers):
    """Graham's list scheduling: each session in turn goes to the worker that is free first."""
    free_s = [0.0] * workers
    for work in sessions:
        heapq.heapreplace(free_s, free_s[0] + work.start_s + work.computing_s)
    return max(free_s)


@given(WORKLOADS, st.integers(1, 8))
def test_without_failures_it_is_list_scheduling(sessions, workers):
    found = simulate(sessions, workers)
    assert found.makespan_s == pytest.approx(list_schedule_s(sessions, workers))
    longest_s = max(work.start_s + work.computing_s for work in sessions)
    total_s = sum(work.start_s + work.computing_s for work in sessions)
    assert found.makespan_s <= total_s / workers + (1 - 1 / workers) * longest_s + 1e-6, "Graham's bound"
    assert (found.failures, found.lost_s, found.starts) == (0, 0.0, len(sessions))


@settings(deadline=None)
@given(WORKLOADS, st.integers(1, 8), FAILURES, st.integers(0, 99))
def test_failures_lose_time_and_no_window(sessions, workers, failures, seed):
    found = simulate(sessions, workers, failures, seed)
    assert found.computing_s == pytest.approx(sum(work.computing_s for work in sessions)), "each window is kept once"
    assert found.makespan_s >= found.ideal_s * (1 - 1e-9)
    assert 0 < found.share_of_ideal <= 1 + 1e-9
    used_s = found.computing_s + found.starting_s + found.lost_s
    assert used_s <= found.makespan_s * workers * (1 + 1e-9), "no worker does two things at once"
    assert found.failures == 0 or found.lost_s > 0


@settings(deadline=None)
@given(WORKLOADS, st.integers(1, 8), FAILURES, st.integers(0, 99))
def test_the_same_seed_gives_the_same_result(sessions, workers, failures, seed):
    assert simulate(sessions, workers, failures, seed) == simulate(sessions, workers, failures, seed)


def test_more_failures_take_longer_and_smaller_windows_lose_less():
    def campaign(window, every_s):
        work = [Work.of(60, windows(10_000, window, 0.1)) for _ in range(40)]
        return simulate(work, 10, Failures(every_s, 60), 1)

    assert campaign(256, 10_000).makespan_s > campaign(256, 1e9).makespan_s
    assert campaign(2_500, 2_000).lost_s > 2 * campaign(100, 2_000).lost_s


def test_the_loss_of_a_failure_is_half_a_window_on_average():
    """A failure falls anywhere in a window of 100 s: 50 s are lost, to within 5 % over 4,000 failures."""
    found = simulate([Work.of(0, [100.0] * 200)] * 200, 20, Failures(1_000, 0), 3)
    assert found.failures > 3_000
    assert found.lost_s / found.failures == pytest.approx(50, rel=0.05)


@given(st.integers(1, 2_000), st.integers(1, 300))
def test_windows_hold_all_items(items, window):
    assert sum(windows(items, window, 1.0)) == items
    assert max(windows(items, window, 1.0)) <= window


def test_windows_that_hardly_ever_end_are_refused():
    with pytest.raises(UsageError, match="make windows smaller"):
        simulate([Work.of(0, [1_000])], 1, Failures(100, 0))


@settings(deadline=None)
@given(WORKLOADS, st.integers(1, 8), st.none() | FAILURES, st.integers(0, 99))
def test_a_pool_computes_each_window_once_and_beats_no_bound(models, replicas, failures, seed):
    found = simulate_pool(models, replicas, failures, seed)
    assert found == simulate_pool(models, replicas, failures, seed)
    assert found.computing_s == pytest.approx(sum(work.computing_s for work in models))
    assert found.makespan_s >= found.ideal_s * (1 - 1e-9)
    longest_s = max(max(work.windows_s) for work in models)
    assert found.makespan_s >= longest_s * (1 - 1e-9), "a window is not divided"
    used_s = found.computing_s + found.starting_s
    assert used_s <= found.makespan_s * replicas * (1 + 1e-9)


@given(WORKLOADS)
def test_one_replica_loads_each_model_once(models):
    found = simulate_pool(models, 1)
    assert found.makespan_s == pytest.approx(sum(work.start_s + work.computing_s for work in models))


def test_replicas_help_each_other_at_the_end():
    """One model of 100 windows: ten replicas of a pool share it, ten workers of sessions do not."""
    model = [Work.of(10, [10.0] * 100)]
    assert simulate(model, 10).makespan_s == 1010
    assert simulate_pool(model, 10).makespan_s == 110


def test_a_replica_starts_once_and_anew_after_each_failure():
    models = [Work.of(10, [5.0]), Work.of(10, [5.0])]
    assert simulate_pool(models, 1, replica_s=100).makespan_s == 100 + 2 * 15
    assert simulate_pool(models, 2, replica_s=100).makespan_s == 100 + 15
    failing = simulate_pool([Work.of(0, [10.0] * 50)], 1, Failures(100, 0), 1, replica_s=7)
    assert failing.failures > 0
    assert failing.makespan_s == pytest.approx(failing.computing_s + failing.starting_s + failing.lost_s)
