"""Scores: official as the package, strict where an answer is none; probabilities and baselines beside them."""

import math

import pytest

from pytest_slmsec.core.items import Item, Output
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.tasks.registry import find_task
from pytest_slmsec.tasks.sources import find

pytest.importorskip("lm_eval", reason="lm-eval is not installed")


def first(name):
    return find_task(name), find(find_task(name), "fixture", True).items[0]


def score(name, mode=Mode.STRICT, **output):
    task, item = first(name)
    return task.scorer(item, Output(**output), mode)


def test_acc_norm_divides_by_the_length_of_each_choice():
    found = score("arc_challenge", choice_logprobs=(-4.0, -3.9, -4.1, -4.2))
    assert (found.value, found.extracted, found.parts["acc"]) == (0.0, "D", 0.0)
    levels = [-4.0 / 4, -3.9 / 4, -4.1 / 8, -4.2 / 22]
    weights = [math.exp(level) for level in levels]
    assert found.parts["p_correct"] == pytest.approx(weights[0] / sum(weights))
    assert found.parts["margin"] == pytest.approx(levels[3] - levels[2])


def test_a_tie_goes_to_the_first_choice_officially_and_is_wrong_strictly():
    official = score("mmlu_elementary_mathematics", Mode.OFFICIAL, choice_logprobs=(-2.0, -1.0, -1.0, -3.0))
    strict = score("mmlu_elementary_mathematics", choice_logprobs=(-2.0, -1.0, -1.0, -3.0))
    assert (official.correct, official.extracted) == (True, "B")
    assert (strict.correct, strict.extracted, strict.parts["tie"]) == (False, None, 1.0)


@pytest.mark.parametrize("logprobs", [None, (-1.0,), (-1.0, -2.0, float("nan"), -3.0)])
def test_log_probabilities_that_are_none_are_unread(logprobs):
    found = score("arc_challenge", choice_logprobs=logprobs)
    assert (found.value, found.parsed, found.correct) == (0.0, False, False)


def test_mc2_is_the_probability_of_all_true_answers():
    task, item = first("truthfulqa_mc2")
    probabilities = [0.4, 0.3] + [0.3 / (len(item.choices) - 2)] * (len(item.choices) - 2)
    found = task.scorer(item, Output(choice_logprobs=tuple(map(math.log, probabilities))), Mode.STRICT)
    assert found.value == pytest.approx(0.7)
    assert found.correct


def test_mc2_of_very_small_probabilities_is_a_number():
    task, item = first("truthfulqa_mc2")
    logprobs = tuple(-2000.0 - place for place in range(len(item.choices)))
    shifted = tuple(value + 2000.0 for value in logprobs)
    small, large = (task.scorer(item, Output(choice_logprobs=some), Mode.OFFICIAL) for some in (logprobs, shifted))
    assert small.value == pytest.approx(large.value)


@pytest.mark.parametrize(
    ("text", "value", "flexible", "parsed"),
    [
        (" 5 * 6 = 30 and 30 - 8 = 22.\n#### 22", 1.0, 1.0, True),
        ("#### $22.00", 0.0, 0.0, False),
        ("The answer is 22", 0.0, 1.0, False),
        ("#### 21", 0.0, 0.0, True),
        ("", 0.0, 0.0, False),
        ("no number at all", 0.0, 0.0, False),
    ],
)
def test_gsm8k_reads_the_number_behind_the_marks(text, value, flexible, parsed):
    for mode in Mode:
        found = score("gsm8k", mode, text=text)
        assert (found.value, found.parsed) == (value, parsed)
        assert found.parts["exact_match,flexible-extract"] == flexible


def test_baselines_are_beside_each_score():
    found = {}
    for name in ("arc_challenge", "winogrande", "gsm8k", "truthfulqa_mc2"):
        task = find_task(name)
        found[name] = task.constant(find(task, "fixture", True).items, Mode.STRICT)
    assert found["arc_challenge"][:2] == ("A", 0.25)
    assert found["winogrande"][1] == 0.5
    assert found["gsm8k"][:2] == ("9", pytest.approx(2 / 14))
    assert found["truthfulqa_mc2"][0] == "equal"


def test_an_item_without_its_document_cannot_be_scored_again():
    task, _ = first("gsm8k")
    with pytest.raises(KeyError):
        task.scorer(Item("gsm8k-00001", "", "22"), Output(text="#### 22"), Mode.STRICT)
