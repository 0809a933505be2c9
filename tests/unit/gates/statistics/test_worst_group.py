"""The gate on the worst category holds whatever holds for the gates of the categories."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.worst_group import worst_group_gate

MARGIN, ALPHA = 0.10, 0.05


@st.composite
def counts(draw):
    n = draw(st.integers(30, 200))
    lost = draw(st.integers(0, n))
    return lost, draw(st.integers(0, n - lost)), n


def judged_at(level, counted):
    lost, gained, n = counted
    return binary_gate(lost, gained, n, MARGIN, level, level)


def judged(groups):
    usual = {name: judged_at(ALPHA, group) for name, group in groups.items()}
    return worst_group_gate(usual, {name: judged_at(ALPHA / len(groups), group) for name, group in groups.items()})


def test_one_collapsed_technique_fails_although_the_mean_is_unchanged():
    groups = {f"T{1000 + number}": (0, 3, 40) for number in range(13)} | {"T1059": (39, 0, 40)}
    lost, gained, n = (sum(group[column] for group in groups.values()) for column in range(3))
    assert (lost, gained, n) == (39, 39, 560)
    assert binary_gate(lost, gained, n, 0.05).verdict is Verdict.PASS
    found = judged(groups)
    assert found.verdict is Verdict.FAIL
    assert found.details["worst"] == "T1059"
    assert found.estimate == pytest.approx(39 / 40)
    assert found.lower > 0.6


@given(st.dictionaries(st.text(max_size=5), counts(), min_size=1, max_size=8))
def test_the_verdict_is_that_of_its_bounds(groups):
    found = judged(groups)
    assert found.n == sum(n for *_, n in groups.values())
    assert found.lower <= found.estimate <= found.upper
    if found.verdict is Verdict.PASS:
        assert found.upper <= MARGIN + 1e-9
    if found.verdict is Verdict.FAIL:
        assert found.lower >= MARGIN - 1e-9
        assert found.p_fail <= ALPHA + 1e-9


@given(st.dictionaries(st.text(max_size=5), counts(), min_size=1, max_size=8), counts())
def test_another_category_never_makes_a_pass_of_what_was_none(groups, more):
    if judged(groups).verdict is not Verdict.PASS:
        assert judged({**groups, "another category": more}).verdict is not Verdict.PASS


@given(counts())
def test_a_single_category_is_judged_as_it_would_be_alone(group):
    alone = judged_at(ALPHA, group)
    found = judged({"all": group})
    assert (found.verdict, found.lower, found.upper, found.p_fail) == (
        alone.verdict, alone.lower, alone.upper, alone.p_fail,
    )  # fmt: skip


def test_without_a_category_there_is_no_gate():
    with pytest.raises(UsageError, match="at least one"):
        worst_group_gate({}, {})
