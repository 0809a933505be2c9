"""The fidelity gate: divergences on the most probable tokens, and their budget."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.kl_bound import (
    TopK,
    bootstrap_t,
    coarse_kl,
    coarse_tv,
    fidelity_gate,
    recorded_budget,
    same_top,
)
from pytest_slmsec.gates.statistics.result import Verdict


def distributions(seed, positions=12, vocabulary=20, shift=0.5):
    """Log-probabilities of a base and of a candidate near it, shape (positions, vocabulary)."""
    rng = np.random.default_rng(seed)
    base = np.log(rng.dirichlet(np.full(vocabulary, 0.4), positions) + 1e-4)
    candidate = base + rng.normal(0, shift, base.shape)
    return tuple(x - np.log(np.exp(x).sum(axis=1, keepdims=True)) for x in (base, candidate))


def top(logprobs, k):
    ids = np.argsort(-logprobs, axis=1)[:, :k]
    kept = np.take_along_axis(logprobs, ids, axis=1)
    return TopK(ids, kept, np.maximum(1 - np.exp(kept).sum(axis=1), 0.0))


@given(st.integers(0, 10_000), st.integers(1, 19), st.integers(1, 19))
def test_the_kl_of_top_tokens_is_a_lower_bound(seed, k_base, k_candidate):
    base, candidate = distributions(seed)
    whole_kl = (np.exp(base) * (base - candidate)).sum(axis=1)
    whole_tv = np.abs(np.exp(base) - np.exp(candidate)).sum(axis=1) / 2
    kept = top(base, k_base), top(candidate, k_candidate)
    assert (coarse_kl(*kept) <= whole_kl + 1e-4).all()
    assert (coarse_tv(*kept) <= whole_tv + 1e-4).all()
    assert (coarse_kl(*kept) >= 0).all()


def test_with_the_whole_vocabulary_it_is_the_kl():
    base, candidate = distributions(1)
    whole = (np.exp(base) * (base - candidate)).sum(axis=1)
    assert coarse_kl(top(base, 20), top(candidate, 20)) == pytest.approx(whole, abs=1e-5)


def test_a_hand_made_position():
    base = TopK(np.array([[7, 3]]), np.log([[0.5, 0.3]]), np.array([0.2]))
    candidate = TopK(np.array([[7, 9]]), np.log([[0.25, 0.5]]), np.array([0.25]))
    # Shared: token 7. Rest: 0.3 + 0.2 against 0.5 + 0.25.
    assert coarse_kl(base, candidate)[0] == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(0.5 / 0.75))
    assert coarse_tv(base, candidate)[0] == pytest.approx(0.25)
    assert list(same_top(base, candidate)) == [False]


def test_without_the_tail_mass_it_is_the_remainder():
    base, candidate = distributions(2)
    a, b = top(base, 8), top(candidate, 8)
    assert coarse_kl(TopK(a.ids, a.logprobs), TopK(b.ids, b.logprobs)) == pytest.approx(coarse_kl(a, b), abs=1e-9)


def test_a_model_is_at_distance_0_from_itself():
    base, _ = distributions(3)
    kept = top(base, 5)
    assert (coarse_kl(kept, kept) == 0).all()
    assert (coarse_tv(kept, kept) == 0).all()
    assert same_top(kept, kept).all()


def kls(mean, n=200, seed=0):
    return np.random.default_rng(seed).gamma(0.5, mean / 0.5, n)


def test_the_budget_decides():
    assert fidelity_gate(kls(0.015), 0.03).verdict is Verdict.PASS
    assert fidelity_gate(kls(0.06), 0.03).verdict is Verdict.FAIL
    assert fidelity_gate(kls(0.03), 0.03).verdict is Verdict.INCONCLUSIVE


def test_too_few_items_decide_nothing():
    few = fidelity_gate([0.5] * 19, 0.03)
    assert few.verdict is Verdict.INCONCLUSIVE
    assert "needs 20" in few.reasons[0]
    assert fidelity_gate([0.5] * 20, 0.03).verdict is Verdict.FAIL


def test_a_lower_bound_can_refute_but_not_prove():
    near, far = (fidelity_gate(kls(mean), 0.03, same_partition=False) for mean in (0.01, 0.06))
    assert near.verdict is Verdict.INCONCLUSIVE
    assert "refute but not prove" in near.reasons[0]
    assert far.verdict is Verdict.FAIL


@given(st.integers(0, 10_000), st.floats(0.005, 0.08))
@settings(max_examples=20, deadline=None)
def test_p_value_and_bound_agree(seed, budget):
    bounds, p = bootstrap_t(kls(0.03, n=60, seed=seed), 0.05, budget)
    if abs(bounds.lower - budget) > 2e-4:
        assert (p <= 0.05) == (bounds.lower > budget)


def test_the_recorded_budget_leaves_half_as_much_again():
    assert recorded_budget(0.018) == pytest.approx(0.027)
    with pytest.raises(UsageError, match="positive"):
        recorded_budget(0.0)


@pytest.mark.parametrize("values", [[], [0.1, -0.1], [0.1, float("nan")]])
def test_values_that_are_no_kl_are_refused(values):
    with pytest.raises(UsageError, match="one KL per item"):
        fidelity_gate(values, 0.03)


def test_damaged_records_are_refused():
    ids, logprobs = np.array([[1, 2]]), np.log([[0.5, 0.3]])
    with pytest.raises(UsageError, match="same token id twice"):
        TopK(np.array([[1, 1]]), logprobs)
    with pytest.raises(UsageError, match="one shape"):
        TopK(ids, logprobs[:, :1])
    with pytest.raises(UsageError, match="at most 0"):
        TopK(ids, -logprobs)
    with pytest.raises(UsageError, match="Tail masses"):
        TopK(ids, logprobs, np.array([0.1, 0.1]))
    with pytest.raises(UsageError, match="same text"):
        coarse_kl(TopK(ids, logprobs), TopK(np.tile(ids, (2, 1)), np.tile(logprobs, (2, 1))))
    with pytest.raises(UsageError, match="budget must be"):
        fidelity_gate([0.1] * 30, 0.0)
