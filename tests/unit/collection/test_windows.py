"""Cutting the selected cases into windows, and bringing models together."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.collection.windows import cut, together

KEYED = st.lists(st.tuples(st.sampled_from("abc"), st.integers()), unique=True, max_size=60)


def test_windows_hold_one_key_and_at_most_their_size():
    windows = cut([("phi3", 1), ("phi3", 2), ("tiny", 3), ("phi3", 4)], size=2)
    assert windows[1] is windows[2]
    assert windows[4] is not windows[1]
    assert windows[3].cases == [3]


@given(KEYED, st.integers(1, 9))
def test_every_case_is_in_exactly_one_window_of_its_key(keyed, size):
    keyed = [(key, (key, number)) for key, number in keyed]
    windows = cut(keyed, size)
    assert set(windows) == {case for _, case in keyed}
    for key, case in keyed:
        window = windows[case]
        assert window.key == key
        assert window.cases.count(case) == 1
        assert len(window.cases) <= size
    for key in "abc":
        members = [case for k, case in keyed if k == key]
        assert len({id(windows[case]) for case in members}) == -(-len(members) // size)


def test_models_come_together_and_other_tests_keep_their_places():
    things = ["p1", "other", "t1", "p2", "t2"]
    assert together(things, ["p", None, "t", "p", "t"]) == ["p1", "other", "p2", "t1", "t2"]


@given(st.lists(st.sampled_from(["x", "y", None]), max_size=30))
def test_bringing_together_is_a_stable_permutation(keys):
    things = list(range(len(keys)))
    ordered = together(things, keys)
    assert sorted(ordered) == things
    for key in "xy":
        places = [place for place, thing in enumerate(ordered) if keys[thing] == key]
        members = [ordered[place] for place in places]
        assert members == sorted(members)
    assert all(ordered[place] == place for place, key in enumerate(keys) if key is None)
