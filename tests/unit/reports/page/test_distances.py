"""The KL divergence of each item, from recorded log-probabilities and from what the gate measured."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reportpages import page_of, parsed, report_of, tables, two_models

from pytest_slmsec.reports.page.distances import distances, option_kl

LOGPROBS = st.lists(st.floats(-50, 0), min_size=2, max_size=5)


def test_a_coin_and_a_biased_coin():
    fair, biased = [math.log(0.5)] * 2, [math.log(0.9), math.log(0.1)]
    assert option_kl(fair, biased) == pytest.approx(0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1))
    assert option_kl(biased, fair) == pytest.approx(0.9 * math.log(1.8) + 0.1 * math.log(0.2))


@given(LOGPROBS, st.floats(-20, 20))
def test_it_is_zero_where_only_the_sum_differs(logprobs, shift):
    assert option_kl(logprobs, [value + shift for value in logprobs]) == pytest.approx(0, abs=1e-9)


@given(LOGPROBS.flatmap(lambda p: st.tuples(st.just(p), st.lists(st.floats(-50, 0), min_size=len(p), max_size=len(p)))))
def test_it_is_never_negative(pair):
    assert option_kl(*pair) >= 0


@pytest.mark.parametrize("other", [None, [], [0.0], [0.0, float("-inf")], [0.0, None], [0.0, True], "ab", 3])
def test_what_is_no_number_for_each_option_has_none(other):
    assert option_kl([0.0, -1.0], other) is None
    assert option_kl(other, [0.0, -1.0]) is None


def chosen():
    """Two models that chose between two options; the candidate moved on the first item."""
    found = two_models()
    for group in found["slmsec"]["groups"]:
        group["items"]["logprobs"] = [[0.0, -1.0]] * 120
    found["slmsec"]["groups"][1]["items"]["logprobs"] = [[-3.0, 0.0], *[[0.0, -1.0]] * 119]
    return found


def test_each_item_of_the_page_has_the_distance_of_its_options():
    first, *others = distances(report_of(chosen()))
    assert first[:4] == ("cti-mcq", "phi3-gptq4", "phi3", "cti-mcq-00001")
    assert first.kl == pytest.approx(option_kl([0.0, -1.0], [-3.0, 0.0]))
    assert {one.kl for one in others} == {0.0}
    root = parsed(page_of(chosen()))
    assert tables(root)["KL of an item from the base"][1] == [
        "cti-mcq", "phi3-gptq4", "<1e-6", "<1e-6", "<1e-6", "<1e-6", f"{first.kl:.2g}"]  # fmt: skip
    moved = tables(root)["Items that moved furthest from the base"][1]
    assert moved == ["phi3-gptq4", "cti-mcq", "cti-mcq-00001", f"{first.kl:.2g}", "options"]
    assert "#b=cti-mcq&q=cti-mcq-00001&i=cti-mcq%2Fcti-mcq-00001" in [one.attributes["href"] for one in root.all("a")]


def test_what_the_gate_measured_is_shown_as_it_is_recorded():
    found = two_models()
    each = {"benchmark": ["cti-mcq"], "item": ["cti-mcq-00007"], "kl": [0.25]}
    found["slmsec"]["fidelity"] = {"phi3-gptq4": {"base": "phi3", "kl": 0.25, "partition": "top 64", "each": each}}
    (one,) = distances(report_of(found))
    assert one == ("cti-mcq", "phi3-gptq4", "phi3", "cti-mcq-00007", 0.25, "top 64")


@pytest.mark.parametrize("each", [None, 3, {}, {"benchmark": 1, "item": [], "kl": []},
                                  {"benchmark": ["b"], "item": ["i"], "kl": [None]}])  # fmt: skip
def test_a_damaged_record_of_distances_is_left_out(each):
    found = two_models()
    found["slmsec"]["fidelity"] = {"phi3-gptq4": {"kl": 0.25, "each": each}}
    assert distances(report_of(found)) == []
    assert "0.25" in parsed(page_of(found)).text
