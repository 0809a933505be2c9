"""In which order items are visited, and when the gate looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.sequential_design import FACT, Visit, obf_looks, sample_first, stop_early, visit_of


@given(st.sampled_from(["obf", "hybrid", "anytime"]), st.integers(1, 400), st.integers(1, 300))
def test_every_item_is_visited_once_and_the_last_look_sees_all(method, n, window):
    visit = stop_early(method, n, window)
    assert sorted(visit.order) == list(range(n))
    assert visit.looks[-1] == n
    assert list(visit.looks) == sorted(set(visit.looks))
    assert visit_of({FACT: visit.to_json()}, "here") == visit


def test_the_order_is_random_and_the_same_every_time():
    visit = stop_early("obf", 1000, 256)
    assert visit == stop_early("obf", 1000, 256)
    assert visit.order != stop_early("obf", 1000, 256, seed=1).order
    assert visit.looks == (200, 400, 600, 800, 1000)
    assert 380 < sum(row < 500 for row in visit.order[:800]) < 420


def test_looks_of_a_betting_test_come_after_every_window():
    assert stop_early("anytime", 1000, 256).looks == (256, 512, 768, 1000)
    assert stop_early("hybrid", 256, 256).looks == (256,)


@given(st.lists(st.sampled_from("abc"), min_size=20, max_size=300))
def test_every_look_sees_each_part_in_proportion(strata):
    order = stop_early("obf", len(strata), 256, strata).order
    for part in set(strata):
        size = strata.count(part)
        for look in obf_looks(len(strata)):
            seen = sum(strata[row] == part for row in order[:look])
            assert abs(seen - size * look / len(strata)) <= 4


def test_the_betting_tests_take_no_notice_of_parts():
    assert stop_early("anytime", 90, 10, ["a", "b", "c"] * 30) == stop_early("anytime", 90, 10)


def test_segments_tell_how_many_looks_lie_behind():
    visit = stop_early("obf", 10, 256)
    assert [visit.segment(place) for place in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_sample_comes_before_the_rest():
    visit = sample_first([2, 5, 7], 10)
    assert set(visit.order[:3]) == {2, 5, 7}
    assert (visit.method, visit.looks) == ("two-stage", (3, 10))
    assert sample_first(range(4), 4).looks == (4,)


@pytest.mark.parametrize(
    "damage",
    [{"order": [0, 0, 1]}, {"order": []}, {"looks": [2]}, {"looks": [3, 2, 3]}, {"looks": ["x"]}, {"order": None}],
)
def test_a_damaged_order_is_refused(damage):
    stored = Visit("obf", 0, (2, 0, 1), (1, 3)).to_json() | damage
    with pytest.raises(CompareError, match=r"cti-mcq on phi3: its order of visiting \(early_stop\) is damaged"):
        visit_of({FACT: stored}, "cti-mcq on phi3")
