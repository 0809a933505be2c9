"""The best constant answers."""

import pytest

from pytest_slmsec.core.items import Item
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.baselines import best_actor, best_base_score, best_technique_set, modal_gold


def items(*golds, meta=None):
    return [Item(f"i-{n}", "?", gold, meta=meta[n] if meta else {}) for n, gold in enumerate(golds)]


def test_the_modal_answer():
    assert modal_gold(items("C", "B", "C", "A"), Mode.STRICT) == ("C", 0.5, (1.0, 0.0, 1.0, 0.0))


def test_the_best_constant_base_score_is_a_median():
    vector = "CVSS:3.1/AV:{}/AC:L/PR:N/UI:{}/S:U/C:H/I:H/A:H"
    golds = items(vector.format("N", "N"), vector.format("N", "R"), vector.format("L", "R"))  # 9.8, 8.8, 7.8
    score, deviation, per_item = best_base_score([*golds, *items("no vector")], Mode.STRICT)
    assert score == "8.8"
    assert deviation == pytest.approx(2 / 3)
    assert per_item == (pytest.approx(1.0), 0.0, pytest.approx(1.0), None)


def test_the_best_actor_covers_aliases_by_the_graph_of_the_mode():
    fox = {"strict": {"correct": ["red fox", "vixen"]}, "official": {"correct": ["red fox", "vixen", "owl"]}}
    owl = {"strict": {"correct": ["owl"]}, "official": {"correct": ["owl", "red fox", "vixen"]}}
    golds = items("Owl", "Red Fox", "Vixen", meta=[owl, fox, fox])
    assert best_actor(golds, Mode.STRICT) == ("Red Fox", pytest.approx(2 / 3), (0.0, 1.0, 1.0))
    assert best_actor(golds, Mode.OFFICIAL) == ("Owl", 1.0, (1.0, 1.0, 1.0))


def test_the_best_technique_set_is_at_least_as_good_as_the_most_frequent_id():
    golds = items("T1059, T1071", "T1059, T1071", "T1059")
    answer, value, per_item = best_technique_set(golds, Mode.STRICT)
    assert (answer, value) == ("T1059, T1071", pytest.approx((1 + 1 + 2 / 3) / 3))
    assert per_item == (1.0, 1.0, pytest.approx(2 / 3))
    single = best_technique_set(items("T1059", "T1071", "T1059"), Mode.STRICT)
    assert single == ("T1059", pytest.approx(2 / 3), (1.0, 0.0, 1.0))
