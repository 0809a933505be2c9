"""What is compared by meaning, and the mean of the best cosines."""

import json

import numpy as np
import pytest

from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.similarity import Passages, mean_best_cosine, text_passages, value_passages

VECTORS = {"x": np.array([1.0, 0.0]), "y": np.array([0.0, 1.0]), "xx": np.array([1.0, 0.0]), "xy": np.array([0.6, 0.8])}


def test_each_wanted_passage_takes_its_best_match():
    assert mean_best_cosine(Passages(["x", "y"], ["xy", "xx"]), VECTORS) == pytest.approx((1.0 + 0.8) / 2)


def test_an_empty_answer_is_0():
    assert mean_best_cosine(Passages(["x", "y"], []), VECTORS) == 0.0


def test_single_characters_of_structures_are_found_exactly_or_not():
    assert mean_best_cosine(Passages(["x", "xx"], ["xx"], True), VECTORS) == 0.5
    assert mean_best_cosine(Passages(["x"], ["xx"]), VECTORS) == 1.0


def test_passages_of_texts_are_sentences_of_the_language():
    assert text_passages("One. Two.", "Three? Four", Mode.STRICT, "en") == (["One.", "Two."], ["Three?", "Four"], False)
    assert text_passages("一。二。", "", Mode.STRICT, "zh") == (["一。", "二。"], [], False)


def test_passages_of_structures_are_their_values():
    gold = json.dumps({"a": ["x", 3], "b": True})
    assert value_passages(gold, '{"k": "z", "l": ""}', Mode.STRICT) == (["x", "3", "True"], ["z"], True)
    assert value_passages(gold, "no structure", Mode.STRICT).given == []
    assert value_passages(gold, "no structure", Mode.OFFICIAL).given == ["no structure"]


@pytest.mark.parametrize(("answer", "similarity"), [("{}", 1.0), ('{"a": "x"}', 0.0), ("", 0.0), ("nothing", 0.0)])
def test_only_an_empty_structure_meets_an_empty_one(answer, similarity):
    assert mean_best_cosine(value_passages("{}", answer, Mode.STRICT), VECTORS) == similarity
