"""Early stopping by betting, and that a stored prefix gives the same verdict."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.betting import (
    BETS,
    anytime_binary_gate,
    anytime_real_gate,
    benchmark_gate,
    betting_bounds,
    checked_differences,
    hybrid_gate,
    log_wealth,
)
from pytest_slmsec.gates.statistics.common import normal_quantile
from pytest_slmsec.gates.statistics.paired_binary import drop_bounds, fail_z
from pytest_slmsec.gates.statistics.result import GateResult, Verdict

OUTCOMES = st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=1, max_size=200)


def counts(outcomes) -> tuple[int, int, int]:
    return outcomes.count(-1.0), outcomes.count(1.0), len(outcomes)


@given(st.floats(0.001, 0.5), st.floats(0.0, 0.4))
def test_every_bet_is_fair_under_the_hypothesis(margin, churn):
    # Outcomes -1, 0, 1 with mean exactly -margin: each bet's expected wealth after one item is 1.
    p_lost, p_gained = churn / 2 + margin, churn / 2
    for sign in (1.0, -1.0):
        d, drop = sign * np.array([-1.0, 0.0, 1.0]), sign * margin
        expected = (1 + BETS[:, None] * (d + drop) / (1 - drop)) @ [p_lost, 1 - p_lost - p_gained, p_gained]
        assert expected == pytest.approx(np.ones(len(BETS)))


def test_the_wealth_is_the_mean_of_the_products():
    # Two items lost, one gained, seven as before, against a drop of 2 points: 0.98 is 1 - drop.
    products = [(1 - b * 0.98 / 0.98) ** 2 * (1 + b * 1.02 / 0.98) * (1 + b * 0.02 / 0.98) ** 7 for b in BETS]
    wealth = math.log(math.fsum(products) / 20)
    assert log_wealth([-1.0, 1.0, 0.0], [2, 1, 7], 0.02) == pytest.approx(wealth)


def test_at_a_bound_the_wealth_is_what_refutes():
    values, counts_of = np.array([-1.0, 1.0, 0.0]), [30, 10, 160]
    lower, upper = betting_bounds(values, counts_of, 0.05)
    assert log_wealth(values, counts_of, upper) == pytest.approx(math.log(20), abs=1e-6)
    assert log_wealth(-values, counts_of, -lower) == pytest.approx(math.log(20), abs=1e-6)
    assert lower < 0.1 < upper
    # One item multiplies the wealth by less than 20 for any bet, as long as the drop is below 9/10.
    assert betting_bounds([0.0], [1], 1e-30) == (None, None)


def test_what_the_betting_test_records():
    found = anytime_binary_gate(60, 10, 200, 0.02, 0.025, gate="mcq")
    values, counts_of = np.array([-1.0, 1.0, 0.0]), np.array([60, 10, 130])
    lower, upper = betting_bounds(values, counts_of, 0.025)
    log_pass, log_fail = log_wealth(values, counts_of, 0.02), log_wealth(-values, counts_of, -0.02)
    details = {"log_e_pass": log_pass, "log_e_fail": log_fail, "lost": 60, "gained": 10}
    p_fail = math.exp(-log_fail)
    assert p_fail < 0.025
    assert found == GateResult(
        "mcq", Verdict.FAIL, 200, 0.25, lower, upper, 0.02, p_fail, "betting", "points", 1.0, details=details
    )
    assert anytime_binary_gate(60, 10, 200, 0.02).gate == "binary"
    assert anytime_binary_gate(0, 5, 200, 0.02).p_fail == 1.0


def test_an_error_rate_of_1_percent_takes_more_than_one_of_5():
    loose, strict = (anytime_binary_gate(16, 1, 100, 0.02, alpha) for alpha in (0.05, 0.001))
    assert 0.001 < loose.p_fail <= 0.05
    assert (loose.verdict, strict.verdict) == (Verdict.FAIL, Verdict.INCONCLUSIVE)
    assert anytime_binary_gate(16, 1, 100, 0.02) == loose


def test_the_scale_of_a_metric_only_scales_the_bounds():
    shares = [-0.5] * 40 + [0.25] * 20 + [0.0] * 40
    of_1 = anytime_real_gate(shares, 0.02)
    of_10 = anytime_real_gate([10 * d for d in shares], 0.2, 10.0, gate="cvss", unit="CVSS points")
    assert (of_10.gate, of_10.unit, of_10.scale, of_10.margin) == ("cvss", "CVSS points", 10.0, 0.2)
    assert (of_1.gate, of_1.unit, of_1.scale) == ("real", "points", 1.0)
    assert of_1.estimate == pytest.approx(0.15)
    assert (of_10.estimate, of_10.lower, of_10.upper) == pytest.approx(
        (1.5, 10 * of_1.lower, 10 * of_1.upper), abs=1e-9
    )
    assert of_10.details == pytest.approx(of_1.details)
    assert of_10.p_fail == pytest.approx(of_1.p_fail)


def test_an_item_may_stand_for_several():
    d = [-1.0] * 10 + [0.0] * 30
    doubled, weighted = anytime_real_gate(d + d, 0.02), anytime_real_gate(d, 0.02, weight=2.0)
    assert weighted.details == pytest.approx(doubled.details)
    assert (weighted.n, weighted.estimate) == (40, 0.25)
    assert anytime_real_gate(d, 0.02).details["log_e_fail"] < weighted.details["log_e_fail"]


def test_differences_a_rounding_error_beyond_the_scale_are_cut():
    assert list(checked_differences([1 + 5e-10, -1 - 5e-10, 0.5], 0.02, 1.0)) == [1.0, -1.0, 0.5]
    assert list(checked_differences([10.0, -10.0], 0.2, 10.0)) == [10.0, -10.0]
    with pytest.raises(UsageError, match=r"Item 3 of 3 has the difference -1\.5; it must be finite and within \+-1, "):
        checked_differences([0.0, 0.0, -1.5], 0.02, 1.0)
    with pytest.raises(UsageError, match=r"an array of shape \(1, 2\)"):
        checked_differences(np.zeros((1, 2)), 0.02, 1.0)


@given(OUTCOMES, st.randoms())
def test_the_wealth_does_not_depend_on_order_or_batches(outcomes, random):
    whole = anytime_real_gate(outcomes, 0.02).details["log_e_pass"]
    shuffled = [*outcomes]
    random.shuffle(shuffled)
    assert anytime_real_gate(shuffled, 0.02).details["log_e_pass"] == pytest.approx(whole)
    assert anytime_binary_gate(*counts(outcomes), 0.02).details["log_e_pass"] == pytest.approx(whole)


@given(OUTCOMES, st.floats(0.005, 0.5))
def test_betting_bounds_and_verdict_agree(outcomes, margin):
    result = anytime_binary_gate(*counts(outcomes), margin)
    lower, upper = (-1 if result.lower is None else result.lower), (1 if result.upper is None else result.upper)
    assert lower <= result.estimate <= upper
    if min(abs(lower - margin), abs(upper - margin)) > 1e-9:
        assert (result.verdict is Verdict.FAIL) == (lower > margin)
        assert (result.verdict is Verdict.PASS) == (upper < margin)


@given(OUTCOMES)
def test_swapping_the_models_swaps_the_bounds(outcomes):
    one, other = anytime_real_gate(outcomes, 0.02), anytime_real_gate([-d for d in outcomes], 0.02)
    assert (one.lower is None) == (other.upper is None)
    if one.lower is not None:
        assert one.lower == pytest.approx(-other.upper, abs=1e-9)


def test_hellaswag_stops_after_1850_items():
    stopped = hybrid_gate(44, 41, 1850, 10_042, 0.02)
    assert stopped.verdict is Verdict.PASS
    assert stopped.details["log_e_pass"] == pytest.approx(4.74, abs=0.01)


def test_the_hybrid_ends_with_an_ordinary_test():
    lost, gained, n = 110, 60, 1000
    assert hybrid_gate(lost, gained, n, n, 0.02).verdict is Verdict.FAIL
    assert hybrid_gate(lost, gained, n, n + 1, 0.02).verdict is Verdict.INCONCLUSIVE
    assert anytime_binary_gate(lost, gained, n, 0.02).verdict is Verdict.INCONCLUSIVE


def test_before_the_end_the_hybrid_is_the_betting_test_at_a_fifth():
    found, early = hybrid_gate(40, 10, 300, 1000, 0.02, gate="mcq"), anytime_binary_gate(40, 10, 300, 0.02, 0.01)
    assert (found.gate, found.method, found.n, found.margin) == ("mcq", "hybrid", 300, 0.02)
    assert (found.verdict, found.estimate) == (early.verdict, early.estimate)
    assert (found.lower, found.upper) == (early.lower, early.upper)
    assert found.p_fail == pytest.approx(5 * early.p_fail)
    assert found.details == {**early.details, "n_total": 1000}
    assert hybrid_gate(4, 10, 300, 1000, 0.02).p_fail == 1.0
    assert hybrid_gate(4, 10, 300, 1000, 0.02).gate == "binary"


def test_at_the_end_the_hybrid_spends_four_fifths():
    from scipy.stats import norm

    found, critical = hybrid_gate(60, 30, 1000, 1000, 0.02), normal_quantile(0.04)
    assert found.verdict is Verdict.INCONCLUSIVE
    assert (found.lower, found.upper) == drop_bounds(60, 30, 1000, critical, critical)
    assert found.p_fail == pytest.approx(norm.sf(float(fail_z(60, 30, 1000, 0.02))) / 0.8)
    assert hybrid_gate(20, 20, 1000, 1000, 0.02).verdict is Verdict.PASS
    # At 2.5 % the parts are 0.5 % and 2 %.
    strict = hybrid_gate(60, 30, 1000, 1000, 0.02, 0.025)
    assert (strict.lower, strict.upper) == drop_bounds(60, 30, 1000, normal_quantile(0.02), normal_quantile(0.02))


@given(st.integers(200, 4000), st.data())
def test_hybrid_p_value_and_verdict_agree(n, data):
    lost = data.draw(st.integers(0, n // 4))
    result = hybrid_gate(lost, data.draw(st.integers(0, n // 4)), n, n, 0.02)
    assert (result.verdict is Verdict.FAIL) == (result.p_fail <= 0.05)


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=20, max_size=150), st.floats(0.01, 0.2))
def test_the_whole_benchmark_is_a_fact(outcomes, margin):
    drop = -math.fsum(outcomes) / len(outcomes)
    expected = Verdict.PASS if drop <= margin + 1e-12 else Verdict.FAIL
    assert benchmark_gate(outcomes, len(outcomes), margin).verdict is expected


def test_a_fact_does_not_depend_on_the_order_in_the_file():
    # 500 items won, then 540 lost: the first half alone looks like a pass.
    assert benchmark_gate([1.0] * 500 + [-1.0] * 540, 1040, 0.02).verdict is Verdict.FAIL


@given(st.lists(st.sampled_from([-1.0, 0.0, 0.0, 0.0, 1.0]), min_size=5, max_size=60), st.floats(0.02, 0.2))
def test_a_part_that_leaves_no_choice_is_never_wrong(outcomes, margin):
    """With an error rate of nothing only arithmetic decides, and then no rest can change it."""
    drop = -math.fsum(outcomes) / len(outcomes)
    for seen in range(1, len(outcomes)):
        verdict = benchmark_gate(outcomes[:seen], len(outcomes), margin, alpha=1e-300).verdict
        if abs(drop - margin) > 1e-9 and verdict is not Verdict.INCONCLUSIVE:
            assert verdict is (Verdict.PASS if drop < margin else Verdict.FAIL)


def test_a_benchmark_is_decided_when_the_rest_cannot_change_it():
    assert benchmark_gate([-1.0] * 3, 100, 0.02, alpha=1e-9).verdict is Verdict.INCONCLUSIVE
    # 90 of 100 items won: even losing the other 10 leaves the candidate ahead.
    assert benchmark_gate([1.0] * 90, 100, 0.02, alpha=1e-300).verdict is Verdict.PASS
    assert benchmark_gate([0.0] * 980 + [-1.0] * 20, 1000, 0.02, alpha=1e-300).verdict is Verdict.PASS
    assert benchmark_gate([0.0] * 979 + [-1.0] * 21, 1000, 0.02, alpha=1e-300).verdict is Verdict.FAIL


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_a_stored_prefix_gives_the_verdict_that_stopped_the_run(seed):
    rng = np.random.default_rng(seed)
    d = rng.choice([-1.0, 0.0, 1.0], size=1000, p=[0.06, 0.91, 0.03])
    stopped = benchmark_gate(d[:999], 1000, 0.02)
    if (n := stopped.details["decided_after"]) is not None:
        assert benchmark_gate(d[:n], 1000, 0.02).verdict is stopped.verdict
        assert benchmark_gate(d[: n - 1], 1000, 0.02).verdict is Verdict.INCONCLUSIVE


def test_more_items_than_there_are_is_refused():
    with pytest.raises(UsageError, match="only 2"):
        benchmark_gate([0.0] * 3, 2, 0.02)


def first_refuted(d, n_total, drop, alpha):
    """Items until "the drop is at least `drop`" is refuted, item by item as in the paper; None if it never is."""
    wealths, seen_sum = [1.0] * len(BETS), 0.0
    for t, value in enumerate(d):
        unseen_mean = (-drop * n_total - seen_sum) / (n_total - t)
        if unseen_mean < -1 - 1e-9:
            return t + 1
        wealths = [w * (1 + b * (value - unseen_mean) / (1 + unseen_mean)) for w, b in zip(wealths, BETS, strict=True)]
        if math.fsum(wealths) / len(BETS) >= 1 / alpha:
            return t + 1
        seen_sum += value
    return None


@pytest.mark.parametrize(
    ("p", "verdict"), [([0.3, 0.6, 0.1], Verdict.FAIL), ([0.02, 0.9, 0.08], Verdict.PASS), ([0.03, 0.94, 0.03], None)]
)
def test_a_part_decides_at_the_item_at_which_a_wealth_refutes(p, verdict):
    d = [float(x) for x in np.random.default_rng(3).choice([-1.0, 0.0, 1.0], size=150, p=p)]
    found = benchmark_gate(d, 400, 0.02, gate="mcq")
    refuted = first_refuted(d, 400, 0.02, 0.05), first_refuted([-x for x in d], 400, -0.02, 0.05)
    by_verdict = {Verdict.PASS: refuted[0], Verdict.FAIL: refuted[1], None: None}
    bounds = {Verdict.PASS: (None, 0.02), Verdict.FAIL: (0.02, None), None: (None, None)}
    assert found.verdict is (verdict or Verdict.INCONCLUSIVE)
    assert found.details == {"n_total": 400, "decided_after": by_verdict[verdict]}
    assert (found.lower, found.upper) == bounds[verdict]
    assert (found.n, found.margin, found.p_fail, found.method) == (150, 0.02, None, "without-replacement")
    assert found.estimate == pytest.approx(-math.fsum(d) / 150)


def test_a_whole_benchmark_has_its_drop_for_both_bounds():
    found = benchmark_gate([-5.0, 0.0, 0.0, 0.0], 4, 1.25, 10.0, gate="cvss", unit="CVSS points")
    details = {"n_total": 4, "decided_after": 4}
    assert found == GateResult(
        "cvss", Verdict.PASS, 4, 1.25, 1.25, 1.25, 1.25, None, "without-replacement", "CVSS points", 10.0,
        details=details,
    )  # fmt: skip
    usual = benchmark_gate([0.0] * 4, 4, 0.02)
    assert (usual.gate, usual.unit, usual.scale) == ("benchmark", "points", 1.0)
    with pytest.raises(UsageError, match="between 0 and 10"):
        benchmark_gate([0.0], 1, 12.0, 10.0)
