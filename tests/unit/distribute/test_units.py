"""Cutting the tests of a run into units, by their ids."""

from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.distribute.units import Unit, UnitPlan, xdist_group

PHI3 = ("phi3", "phi3-gptq4")


def ids(name, model, n):
    return [f"b/test_{name}.py::test_{name}[{model}-{name}-{number}]" for number in range(n)]


def sizes(units):
    return [(unit.model, len(unit.places)) for unit in units]


def test_a_unit_is_a_window_of_one_test_function_and_one_model():
    collected = ids("mcq", "phi3", 5) + ids("rcm", "phi3", 2) + ids("rcm", "phi3-gptq4", 2)
    assert UnitPlan(PHI3, window=3, workers=2).cut(collected) == [
        Unit("phi3", (0, 1, 2)),
        Unit("phi3", (3, 4)),
        Unit("phi3", (5, 6)),
        Unit("phi3-gptq4", (7, 8)),
    ]


def test_no_unit_is_more_than_one_workers_share():
    assert sizes(UnitPlan(("phi3",), window=256, workers=2).cut(ids("mcq", "phi3", 9))) == [("phi3", 5), ("phi3", 4)]


def test_what_is_judged_by_a_model_is_never_cut():
    plan = UnitPlan(("phi3",), window=2, workers=2, whole=True)
    assert sizes(plan.cut(ids("mitre", "phi3", 9))) == [("phi3", 9)]


def test_ordinary_tests_are_shared_out_in_parts():
    collected = ["a.py::test_a", *ids("mcq", "phi3", 2), *[f"b.py::test_b[{n}]" for n in range(15)]]
    units = UnitPlan(("phi3",), window=2, workers=2).cut(collected)
    assert sizes(units) == [(None, 2), ("phi3", 1), ("phi3", 1), *[(None, 2)] * 7]
    assert units[0].places == (0, 3)


def test_a_model_is_found_in_the_parameters_only():
    collected = [
        "phi3-bench/test_a.py::test_a",
        "a[phi3-x]/t.py::test_b",
        "t.py::test_c[x-phi3-gptq4-1]",
        "t.py::test_phi3",
    ]
    units = UnitPlan(PHI3, window=8, workers=1).cut(collected)
    assert {place: unit.model for unit in units for place in unit.places} == {
        0: None,
        1: None,
        2: "phi3-gptq4",
        3: None,
    }


def test_an_xdist_group_stays_together():
    collected = [f"t.py::test_a[{n}]@db" for n in range(20)]
    assert sizes(UnitPlan(("phi3",), window=2, workers=4).cut(collected)) == [(None, 20)]
    assert xdist_group("t.py::test_a[x@y]") is None


def test_no_tests_are_no_units():
    assert UnitPlan(("phi3",), window=2, workers=4).cut([]) == []


IDS = st.lists(
    st.one_of(
        st.builds("t.py::test_{}[{}-{}]".format, st.sampled_from("ab"), st.sampled_from(PHI3), st.integers(0, 99)),
        st.builds("o.py::test_{}".format, st.integers(0, 99)),
    ),
    unique=True,
    max_size=60,
)


@given(IDS, st.integers(1, 20), st.integers(1, 5))
def test_every_test_is_in_exactly_one_unit(collected, window, workers):
    units = UnitPlan(PHI3, window, workers).cut(collected)
    assert sorted(place for unit in units for place in unit.places) == list(range(len(collected)))
    for unit in units:
        assert list(unit.places) == sorted(unit.places)
        assert unit.model is None or len(unit.places) <= window
