"""Item scores to one number with its interval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.items import Score
from pytest_slmsec.scoring.base import Mode
from pytest_slmsec.scoring.metrics import (
    ACC,
    ACCURACY,
    BENIGN,
    F1_V2,
    MAD,
    MC2,
    MEAN_F1,
    REFUSALS,
    ROUGE_L_V2_ZH,
    UNSCORED,
    find_metric,
    mean_interval,
    wilson_interval,
)

RIGHT, WRONG, UNPARSED = Score(1.0, True, True), Score(0.0, True, False), Score(0.0, False, False)
counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts)
def test_the_wilson_interval_holds_the_share_and_lies_between_0_and_1(count):
    low, high = wilson_interval(*count)
    assert 0.0 <= low <= count[0] / count[1] <= high <= 1.0
    assert low < high


def test_the_wilson_interval_of_a_textbook_example():
    """Newcombe 1998, Statistics in Medicine 17, table I: 81 of 263 and 0 of 20."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_accuracy_divides_by_valid_answers_in_official_and_by_all_in_strict():
    scores = [RIGHT, RIGHT, WRONG, UNPARSED]
    official, strict = (ACCURACY.aggregate(scores, mode) for mode in (Mode.OFFICIAL, Mode.STRICT))
    assert (official.value, official.n, official.valid) == (pytest.approx(2 / 3), 3, 3)
    assert (strict.value, strict.n, strict.valid) == (0.5, 4, 3)
    assert strict.low < 0.5 < strict.high


def test_extras_are_the_means_of_the_parts():
    scores = [Score(1.0, True, True, parts={"p_correct": 0.9}), Score(0.0, False, False, parts={"p_correct": 0.0})]
    assert ACCURACY.aggregate(scores, Mode.STRICT).extras == {"p_correct": pytest.approx(0.45)}
    assert ACCURACY.aggregate(scores, Mode.OFFICIAL).extras == {"p_correct": pytest.approx(0.9)}


def test_the_deviation_drops_unparsed_answers_in_official_and_takes_the_worst_in_strict():
    scores = [Score(1.0, True, False), Score(3.0, True, False), Score(10.0, False, False)]
    assert MAD.aggregate(scores, Mode.OFFICIAL).value == pytest.approx(2.0)
    assert MAD.aggregate(scores, Mode.STRICT).value == pytest.approx(14 / 3)
    assert not MAD.higher_is_better


def test_mean_f1_keeps_empty_answers_in_both_modes_and_reports_micro_f1():
    scores = [
        Score(1.0, True, True, parts={"tp": 4.0, "fp": 0.0, "fn": 0.0}),
        Score(0.0, False, False, parts={"tp": 0.0, "fp": 0.0, "fn": 2.0}),
    ]
    for mode in Mode:
        result = MEAN_F1.aggregate(scores, mode)
        assert (result.value, result.n, result.valid) == (0.5, 2, 1)
        assert result.extras == {"micro_f1": pytest.approx(0.8)}


@pytest.mark.parametrize("metric", [ACCURACY, MAD, MEAN_F1])
def test_nothing_to_count_gives_no_number(metric):
    assert metric.aggregate([], Mode.STRICT).value is None
    result = metric.aggregate([], Mode.OFFICIAL)
    assert (result.low, result.high, result.n) == (None, None, 0)


def test_the_bootstrap_interval_is_near_the_normal_one_for_many_values_and_the_same_each_time():
    values = [float(i % 10) for i in range(1000)]  # mean 4.5, standard error 0.0909
    low, high = mean_interval(values, 0.0, 10.0)
    assert (low, high) == pytest.approx((4.5 - 1.96 * 0.0909, 4.5 + 1.96 * 0.0909), abs=0.02)
    assert mean_interval(values, 0.0, 10.0) == (low, high)


def test_equal_values_do_not_pretend_to_certainty():
    low, high = mean_interval([0.0] * 60, 0.0, 1.0)
    assert low == 0.0
    assert high == pytest.approx(0.0602, abs=1e-4)
    assert mean_interval([10.0] * 5, 0.0, 10.0)[1] == 10.0


VALUES = (0.0, 0.25, 0.5, 1.0) * 10
"""Mean 0.4375."""


def scored(values, parsed=True, **parts):
    return [Score(value, parsed, value == 1.0, parts=parts) for value in values]


def test_means_of_values_have_a_bootstrap_interval_on_the_scale():
    between = mean_interval(VALUES, 0.0, 1.0)
    for metric in (F1_V2, MEAN_F1, MC2):
        result = metric.aggregate(scored(VALUES), Mode.STRICT)
        assert (result.value, result.low, result.high) == (0.4375, *between)
        assert (result.n, result.valid) == (40, 40)
    points = MAD.aggregate(scored([10 * value for value in VALUES]), Mode.STRICT)
    assert (points.value, points.low, points.high) == (4.375, *mean_interval([10 * v for v in VALUES], 0.0, 10.0))


@pytest.mark.parametrize(("metric", "highest"), [(F1_V2, 1.0), (MEAN_F1, 1.0), (MC2, 1.0), (MAD, 10.0)])
def test_equal_values_may_still_lie_anywhere_on_the_scale(metric, highest):
    # The Wilson upper bound of 0 in 20 is 0.1611 (Newcombe 1998).
    result = metric.aggregate(scored([0.5] * 20), Mode.STRICT)
    assert result.low == pytest.approx(0.5 - 0.1611 * 0.5, abs=1e-4)
    assert result.high == pytest.approx(0.5 + 0.1611 * (highest - 0.5), abs=1e-3)


def test_only_the_chinese_metric_leaves_empty_answers_out_in_official():
    scores = [*scored([1.0, 0.5]), *scored([0.0], parsed=False)]
    official, strict = (ROUGE_L_V2_ZH.aggregate(scores, mode) for mode in (Mode.OFFICIAL, Mode.STRICT))
    assert (official.value, official.n, official.valid) == (0.75, 2, 2)
    assert (strict.value, strict.n, strict.valid) == (0.5, 3, 2)
    assert F1_V2.aggregate(scores, Mode.OFFICIAL).n == 3


def test_similarity_is_known_of_all_or_of_none():
    known, unknown = scored([1.0], similarity=0.8, hits=1.0), scored([0.0], hits=0.0)
    assert F1_V2.aggregate(known, Mode.STRICT).extras == {"similarity": 0.8, "hits": 1.0}
    assert F1_V2.aggregate(known + unknown, Mode.STRICT).extras == {"similarity": None, "hits": 0.5}
    assert MC2.aggregate(unknown, Mode.STRICT).extras == {"hits": 0.0}


def test_shares_count_all_answers_and_each_part_those_that_have_it():
    scores = [
        *scored([1.0], **{"category=malware": 1.0, "refusal": 1.0}),
        *scored([0.0, 1.0, 0.0], parsed=False, **{"category=evasion": 0.5}),
    ]
    low, high = wilson_interval(2, 4)
    for mode in Mode:
        for metric in (ACC, BENIGN, REFUSALS):
            result = metric.aggregate(scores, mode)
            assert (result.value, result.low, result.high, result.n, result.valid) == (0.5, low, high, 4, 1)
    by_category = {"category=malware": 1.0, "category=evasion": 0.5}
    assert BENIGN.aggregate(scores, Mode.STRICT).extras == {**by_category, "refusal": 1.0}
    assert REFUSALS.aggregate(scores, Mode.STRICT).extras == by_category


def test_items_without_a_published_answer_are_left_out_and_told():
    unscored = scored([0.0, 0.0], **{UNSCORED: 1.0})
    result = ACCURACY.aggregate([*scored([1.0, 0.0]), *unscored], Mode.STRICT)
    assert (result.value, result.n, result.valid, result.extras) == (0.5, 2, 4, {UNSCORED: 2.0})
    assert ACCURACY.aggregate(unscored, Mode.STRICT).value is None
    assert ACCURACY.aggregate(unscored, Mode.OFFICIAL).n == 2


def test_the_probability_of_the_right_option_must_be_known_of_all():
    half = [*scored([1.0], p_correct=0.5), *scored([0.0])]
    assert ACCURACY.aggregate(half, Mode.STRICT).extras == {"p_correct": None}


def test_accuracies_on_some_items_are_not_diluted_by_the_others():
    scores = [*scored([1.0], **{"accuracy:Web": 1.0, "plausible": 1.0}), *scored([0.0])]
    assert ACCURACY.aggregate(scores, Mode.STRICT).extras == {"accuracy:Web": 1.0, "plausible": 0.5}


def test_metrics_are_found_by_the_name_they_are_printed_under():
    assert find_metric("MAD") is MAD
    with pytest.raises(UsageError, match="'mine' is not known to the main process: run its benchmark without -n"):
        find_metric("mine")
