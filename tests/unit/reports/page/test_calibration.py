"""How sure a model was, from recorded log-probabilities."""

import math

import pytest
from benchmark_runs import run
from reportpages import page_of, parsed, two_models

from pytest_slmsec.reports.page.calibration import Bin, calibration, confidences


def chosen(*shares):
    """A run of items with two options, the right one first, from p(correct) of each."""
    found = run("".join("1" if share > 0.5 else "0" for share in shares))
    found.columns["logprobs"][:] = [[math.log(share), math.log(1 - share)] for share in shares]
    found.columns["parts"][:] = [{"p_correct": share} for share in shares]
    return found


def test_confidence_is_the_probability_of_what_was_chosen():
    assert confidences(chosen(0.9, 0.2)) == [(pytest.approx(0.9), True), (pytest.approx(0.8), False)]


def test_the_calibration_error_is_the_mean_distance_of_confidence_and_outcome():
    found = calibration("m", [chosen(0.95, 0.95, 0.05, 0.95)])  # 95 % sure each time, and right in three of four
    assert found.error == pytest.approx(0.95 - 0.75)
    assert found.bins == (
        Bin(4, pytest.approx(0.95), 0.75, pytest.approx(0.3, abs=0.02), pytest.approx(0.95, abs=0.01)),
    )


def test_a_model_that_is_as_right_as_it_is_sure_has_no_error():
    assert calibration("m", [chosen(0.75, 0.75, 0.25, 0.75)]).error == pytest.approx(0)


def test_p_correct_is_counted_in_twentieths():
    counts = calibration("m", [chosen(0.02, 0.97, 0.99, 0.6)]).counts()
    assert (counts[0], counts[12], counts[19], sum(counts)) == (1, 1, 2, 4)


def test_a_scorer_that_chose_by_other_numbers_has_no_confidence():
    found = chosen(0.9, 0.2)
    found.columns["parts"][0] = {"p_correct": 0.7}
    assert confidences(found) == []
    assert calibration("m", [found]).error is None


def test_a_model_without_confidence_has_no_empty_diagram():
    found = two_models()
    for group in found["slmsec"]["groups"]:
        group["items"]["parts"] = [{"p_correct": 0.25}] * 120
    drawn = [one.text for one in parsed(page_of(found)).all("title")]
    assert "p(correct) of each item; line: the base" in drawn
    assert not any("by confidence" in title for title in drawn)


def test_generated_answers_have_none():
    assert calibration("m", [run("1110")]) is None
