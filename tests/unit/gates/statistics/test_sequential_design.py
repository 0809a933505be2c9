"""In which order items are visited, and when the gate looks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.statistics.sequential_design import (
    FACT,
    SequentialDesign,
    design_of,
    early_stopping_design,
    obf_looks,
    two_stage_design,
)


@given(st.sampled_from(["obf", "hybrid", "anytime"]), st.integers(1, 400), st.integers(1, 300))
def test_every_item_is_visited_once_and_the_last_look_sees_all(method, n, window):
    design = early_stopping_design(method, n, window)
    assert sorted(design.item_order) == list(range(n))
    assert design.interim_looks[-1] == n
    assert list(design.interim_looks) == sorted(set(design.interim_looks))
    assert design_of({FACT: design.to_json()}, "here") == design


def test_the_order_is_random_and_the_same_every_time():
    design = early_stopping_design("obf", 1000, 256)
    assert design == early_stopping_design("obf", 1000, 256)
    assert design.item_order != early_stopping_design("obf", 1000, 256, seed=1).item_order
    assert design.interim_looks == (200, 400, 600, 800, 1000)
    assert 380 < sum(row < 500 for row in design.item_order[:800]) < 420


def test_looks_of_a_betting_test_come_after_every_window():
    assert early_stopping_design("anytime", 1000, 256).interim_looks == (256, 512, 768, 1000)
    assert early_stopping_design("hybrid", 256, 256).interim_looks == (256,)


@given(st.lists(st.sampled_from("abc"), min_size=20, max_size=300))
def test_every_look_sees_each_part_in_proportion(strata):
    order = early_stopping_design("obf", len(strata), 256, strata).item_order
    for part in set(strata):
        size = strata.count(part)
        for look in obf_looks(len(strata)):
            seen = sum(strata[row] == part for row in order[:look])
            assert abs(seen - size * look / len(strata)) <= 4


def test_the_betting_tests_take_no_notice_of_parts():
    assert early_stopping_design("anytime", 90, 10, ["a", "b", "c"] * 30) == early_stopping_design("anytime", 90, 10)


def test_segments_tell_how_many_looks_lie_behind():
    design = early_stopping_design("obf", 10, 256)
    assert [design.segment(place) for place in range(10)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_a_sample_comes_before_the_rest():
    design = two_stage_design([2, 5, 7], 10)
    assert set(design.item_order[:3]) == {2, 5, 7}
    assert (design.method, design.interim_looks) == ("two-stage", (3, 10))
    assert two_stage_design(range(4), 4).interim_looks == (4,)


@pytest.mark.parametrize(
    "damage",
    [{"order": [0, 0, 1]}, {"order": []}, {"looks": [2]}, {"looks": [3, 2, 3]}, {"looks": ["x"]}, {"order": None}],
)
def test_a_damaged_order_is_refused(damage):
    stored = SequentialDesign("obf", 0, (2, 0, 1), (1, 3)).to_json() | damage
    with pytest.raises(CompareError, match=r"cti-mcq on phi3: its order of visiting \(early_stop\) is damaged"):
        design_of({FACT: stored}, "cti-mcq on phi3")
