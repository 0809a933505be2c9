"""Shards: every part of a run once."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.shard import Shard, ShardFacts, spans_of


@given(st.integers(0, 40), st.integers(1, 12))
def test_the_parts_make_up_the_whole_in_order_and_differ_by_one_at_most(n, of):
    whole = list(range(n))
    parts = [Shard(number, of).part(whole) for number in range(1, of + 1)]
    assert [one for part in parts for one in part] == whole
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("text", "shard"), [("1/1", Shard(1, 1)), ("2/4", Shard(2, 4)), (" 10/10 ", Shard(10, 10))])
def test_a_shard_is_written_as_number_and_count(text, shard):
    assert Shard.parse(text) == shard
    assert str(shard) == text.strip()


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "2/", "a/b", "-1/4", "1/0", "1.5/2", ""])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"write which part of how many, 1/4 to 4/4"):
        Shard.parse(text)


@given(st.sets(st.integers(0, 30)))
def test_facts_survive_json_and_name_each_place(places):
    facts = ShardFacts(Shard(2, 3), "digest", 31, spans_of(places))
    assert ShardFacts.read(json.loads(json.dumps(facts.plain()))) == facts
    assert facts.places == places


def test_neighbours_are_one_span():
    assert spans_of([4, 0, 1, 2, 9, 5]) == ((0, 3), (4, 6), (9, 10))
