"""Extracted structures, by the values at their leaves."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_values import values

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.leaf_values import (
    hit_rate,
    leaves,
    multiset_f1,
    score_values,
    values_v2,
)

GOLD = {"Malware": "GrayPike", "Hosts": ["alpha", "beta"], "Paid": False, "Days": 3}
ITEM = Item("i", "?", json.dumps(GOLD))


def score(text, mode=Mode.STRICT, item=ITEM):
    return score_values(item, Output(text), mode)


def test_values_are_texts_in_order_and_keys_do_not_count():
    assert values_v2(GOLD) == ["GrayPike", "alpha", "beta", "False", "3"]
    assert values_v2({"Name": [{"x": None}, 1.5]}) == ["None", "1.5"]


def test_nothing_at_all_is_one_empty_value():
    assert values_v2({}) == values_v2([]) == values_v2("") == [""]
    assert values_v2({"a": {}}) == []


@given(values)
def test_leaves_hold_no_structures_and_survive_json(value):
    found = leaves(value)
    assert not any(isinstance(leaf, (dict, list)) for leaf in found)
    assert leaves(json.loads(json.dumps(value))) == found


def test_f1_counts_a_value_as_often_as_it_stands_in_both():
    assert multiset_f1(["a", "a", "b"], ["a", "a", "a"]) == pytest.approx(2 / 3)
    assert multiset_f1(["a"], []) == multiset_f1([], ["a"]) == multiset_f1(["a"], ["b"]) == 0.0


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_f1_is_symmetric_and_1_only_for_equal_multisets(one, other):
    found = multiset_f1(one, other)
    assert found == pytest.approx(multiset_f1(other, one))
    assert math.isclose(found, 1.0) == (bool(one) and sorted(one) == sorted(other))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(GOLD),
        repr(GOLD),
        "  " + json.dumps(list(GOLD.values())) + "\n",
    ],
)
def test_json_and_python_literals_are_read_in_both_modes(text):
    for mode in Mode:
        found = score(text, mode)
        assert (found.value, found.parsed, found.correct) == (1.0, True, True)
        assert found.parts == {"hit_rate_v1": 0.8}  # version 1 looks for the text 3 and finds the number


@pytest.mark.parametrize(
    "text",
    [
        f"Here is the JSON:\n```json\n{json.dumps(GOLD, indent=1)}\n```\nI hope this helps!",
        f"The result is {json.dumps(GOLD)} as asked.",
        f"Result: {GOLD!r}",
        f"As [1] and {{2}} say: {json.dumps(GOLD)}",
        f"As ['one'] says: {GOLD!r}",
    ],
)
def test_strict_mode_finds_the_structure_within_words(text):
    assert score(text).correct
    assert not score(text, Mode.OFFICIAL).parsed


def test_a_text_without_structure_is_nothing_in_strict_and_one_value_in_official():
    said = "The malware is GrayPike on alpha and beta."
    strict, official = score(said), score(said, Mode.OFFICIAL)
    assert (strict.value, strict.parsed, strict.extracted, strict.parts) == (0.0, False, None, {"hit_rate_v1": 0.0})
    assert (official.value, official.parsed) == (0.0, False)
    right = Item("i", "?", json.dumps("Insider event"))
    assert score("Insider event", Mode.OFFICIAL, right).value == 1.0
    assert score('["Insider event"]', item=right).correct


def test_an_empty_gold_is_met_by_an_empty_structure_only():
    nothing = Item("i", "?", "{}")
    assert score("{}", item=nothing).value == score("[]", Mode.OFFICIAL, nothing).value == 1.0
    assert score('{"a": "b"}', item=nothing).value == 0.0
    assert score("", item=nothing).value == 0.0


def test_version_1_takes_similar_texts_and_single_characters_exactly():
    gold = {"a": "GrayPike ransomware", "b": "3", "c": "beta"}
    assert hit_rate(gold, {"x": "the GrayPike", "y": 3, "z": "gamma"}) == pytest.approx(1 / 3)
    assert hit_rate(gold, {"x": "the GrayPike", "y": "3", "z": "beta-2"}) == 1.0
    assert hit_rate(gold, {"x": {}}) == 0.0


def test_version_1_keeps_its_defects():
    assert hit_rate(["banana"], "nab") == 1.0  # a text is compared letter by letter
    assert hit_rate(["NULL value"], {}) == 1.0  # nothing at all is the text NULL
    assert hit_rate({}, ["NULLs"]) == 1.0
    assert hit_rate("leak", ["data leak"]) == 1.0
    assert hit_rate("x", ["y"]) == 0.0


@pytest.mark.parametrize(
    "text",
    ["", "[" * 5000, "{" * 90, '{"a": ' * 3000, "-" * 50_000 + "1", '{"a": 1', "{1: {2}}", "1" * 5000, "{'a': b}"],
)
def test_hostile_texts_are_read_or_refused(text):
    for mode in Mode:
        assert 0.0 <= score(text, mode).value <= 1.0


def test_deep_structures_are_walked():
    deep = "[" * 150 + '"GrayPike"' + "]" * 150
    assert score(deep).value == pytest.approx(2 * (1 / 5) / (1 + 1 / 5))


@given(st.text(max_size=80) | st.text("{}[]\":,a1 '\n`", max_size=40))
def test_every_text_has_a_score(text):
    for mode in Mode:
        found = score(text, mode)
        assert 0.0 <= found.value <= 1.0
        assert 0.0 <= found.parts["hit_rate_v1"] <= 1.0
