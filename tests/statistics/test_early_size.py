"""Error rates of looks, two stages and clustered gates: exact enumeration where possible, else fixed seeds."""

import numpy as np
import pytest
from scipy.signal import fftconvolve
from scipy.special import gammaln, xlogy

from pytest_slmsec.gates.statistics.alpha_spending import boundary, group_sequential_gate, obf_spent, pocock_spent
from pytest_slmsec.gates.statistics.betting import benchmark_gate
from pytest_slmsec.gates.statistics.paired_binary import binary_gate, cluster_ratio, fail_z, tango_z
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import obf_looks

pytestmark = pytest.mark.statistics

MARGIN = 0.02


def trinomial(n, p_lost, p_gained, size):
    """P(lost, gained) of `n` items, shape (size, size)."""
    b, c = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    rest = n - b - c
    log_mass = (gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(np.maximum(rest, 0) + 1)
                + xlogy(b, p_lost) + xlogy(c, p_gained)
                + xlogy(np.maximum(rest, 0), 1 - p_lost - p_gained))  # fmt: skip
    return np.where(rest >= 0, np.exp(log_mass), 0.0)


def rates(looks, shares, spending, drop, churn, alpha=0.05):
    """P(PASS), P(FAIL) and the mean number of items, by enumerating every path through the looks."""
    n_total = looks[-1]
    mean = n_total * (churn / 2 + max(drop, 0))
    size = int(mean + 8 * np.sqrt(mean) + 10)
    mass, seen, passed, failed, items = None, 0, 0.0, 0.0, 0.0
    for k, n in enumerate(looks, start=1):
        step = trinomial(n - seen, churn / 2 + drop, churn / 2, size)
        mass = step if mass is None else np.maximum(fftconvolve(mass, step)[:size, :size], 0)
        b, c = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
        possible = b + c <= n
        z = boundary(k, shares, alpha, spending)
        high, low = np.zeros_like(possible), np.zeros_like(possible)
        high[possible] = fail_z(b[possible], c[possible], n, MARGIN) >= z
        low[possible] = tango_z(b[possible], c[possible], n, MARGIN) <= -z
        failed, passed = failed + mass[high].sum(), passed + mass[low & ~high].sum()
        stopped = mass[high | low].sum() if n < n_total else mass.sum()
        items, seen = items + n * stopped, n
        mass = np.where(high | low, 0.0, mass)
    return passed, failed, items


def obf_rates(n, drop, churn, alpha=0.05):
    return rates(obf_looks(n), tuple(k / 5 for k in range(1, 6)), obf_spent, drop, churn, alpha)


def staged_rates(first, n, drop, churn, alpha=0.05):
    return rates((first, n), (first / n, 1.0), pocock_spent, drop, churn, alpha)


@pytest.mark.parametrize("churn", [0.01, 0.03, 0.06, 0.12])
@pytest.mark.parametrize("n", [378, 500, 1000, 2500])
def test_exact_size_of_five_looks(n, churn):
    passed, failed, _ = obf_rates(n, MARGIN, churn)
    assert passed <= 0.062
    assert failed <= 0.062


@pytest.mark.parametrize("churn", [0.01, 0.03, 0.06, 0.12])
@pytest.mark.parametrize(
    ("first", "n"), [(100, 378), (100, 1000), (300, 1000), (500, 1000), (100, 2500), (500, 10_042)]
)
def test_exact_size_of_a_sample_and_the_rest(first, n, churn):
    passed, failed, _ = staged_rates(first, n, MARGIN, churn)
    assert passed <= 0.065
    assert failed <= 0.065


@pytest.mark.parametrize("alpha", [0.01, 0.025])
def test_exact_size_of_repeated_p_values(alpha):
    """P(p at any look <= alpha) at the margin: what Holm's correction of the suite relies on."""
    for churn in (0.03, 0.06, 0.12):
        assert obf_rates(1000, MARGIN, churn, alpha)[1] <= 1.3 * alpha
        assert staged_rates(300, 1000, MARGIN, churn, alpha)[1] <= 1.3 * alpha


def test_what_looks_save_and_what_they_cost():
    for n, saved in ((1000, 0.12), (2500, 0.27)):
        passed, failed, items = obf_rates(n, 0.0, 0.06)
        once = binary_rates_once(n, 0.0)
        assert items <= (1 - saved) * n
        assert passed >= once[0] - 0.03
        assert failed <= 0.001


def binary_rates_once(n, drop, churn=0.06):
    from pytest_slmsec.gates.statistics.power import rates_at

    found = rates_at(n, drop, churn, MARGIN)
    return found.passed, found.failed


def test_a_sample_decides_a_clear_case_and_the_whole_keeps_its_power():
    _, _, items = staged_rates(300, 1000, 0.08, 0.06)
    assert items <= 600
    assert staged_rates(300, 1000, 0.08, 0.06)[1] >= 0.999
    passed = staged_rates(300, 1000, 0.0, 0.06)[0]
    assert passed >= binary_rates_once(1000, 0.0)[0] - 0.06


def test_a_gate_keeps_its_error_rate_though_another_one_stops_the_run():
    """Accuracy drops by just the margin; unread answers, all wrong, make the parse gate FAIL and stop the run."""
    rng, wrong, stops = np.random.default_rng(20), [], []
    for _ in range(1500):
        u = rng.random(1000)
        accuracy = np.where(u < 0.05, -1, np.where(u < 0.08, 1, 0))  # lost 5 %, gained 3 %
        parsed = np.where(u < 0.045, -1, 0)
        for n in obf_looks(1000):
            counts = [(int((d[:n] == -1).sum()), int((d[:n] == 1).sum())) for d in (accuracy, parsed)]
            found = [group_sequential_gate(*pair, n, obf_looks(1000), MARGIN).verdict for pair in counts]
            if Verdict.FAIL in found or set(found) == {Verdict.PASS}:
                break
        wrong.append(found[0])
        stops.append(n)
    assert np.mean(np.array(stops) < 1000) > 0.5
    assert wrong.count(Verdict.FAIL) / 1500 <= 0.066
    assert wrong.count(Verdict.PASS) / 1500 <= 0.066


def test_a_random_part_of_exactly_these_items_errs_in_at_most_5_percent():
    """A look after every 50 items, truth just beyond and just within the limit."""
    for lost, wrong in ((51, Verdict.PASS), (49, Verdict.FAIL)):
        rng, found = np.random.default_rng(21), []
        d = np.array([-1.0] * lost + [1.0] * 30 + [0.0] * (1000 - lost - 30))
        for _ in range(400):
            shuffled = rng.permutation(d)
            verdicts = (benchmark_gate(shuffled[:n], 1000, MARGIN).verdict for n in range(50, 1001, 50))
            found.append(next(v for v in verdicts if v is not Verdict.INCONCLUSIVE))
        assert found.count(wrong) / 400 <= 0.05


def drawn_in_passages(rng, passages, size, p_lost, p_gained, together):
    """Outcomes of items in passages; with probability `together` a passage has one outcome for all its items."""
    outcomes = rng.choice([-1.0, 1.0, 0.0], size=(passages, size), p=[p_lost, p_gained, 1 - p_lost - p_gained])
    same = rng.random(passages) < together
    outcomes[same] = outcomes[same, :1]
    return outcomes.ravel(), np.repeat(np.arange(passages), size).astype(str)


def test_clusters_are_what_keeps_the_size_of_items_that_go_together():
    rng, naive, adjusted = np.random.default_rng(22), [], []
    for _ in range(600):
        d, passage = drawn_in_passages(rng, 250, 4, 0.05, 0.03, 0.8)
        lost, gained = int((d == -1).sum()), int((d == 1).sum())
        naive.append(binary_gate(lost, gained, 1000, MARGIN).verdict)
        ratio = cluster_ratio(d, passage)
        adjusted.append(binary_gate(lost, gained, 1000, MARGIN, cluster_se_ratio=ratio).verdict)
    for side in (Verdict.FAIL, Verdict.PASS):
        assert naive.count(side) / 600 > 0.1
        assert adjusted.count(side) / 600 <= 0.075


def test_clusters_of_a_real_valued_score():
    rng, naive, adjusted = np.random.default_rng(23), [], []
    for _ in range(250):
        passage_effect = np.repeat(rng.normal(-0.02, 0.08, 250), 4)
        d = np.clip(passage_effect + rng.normal(0, 0.08, 1000), -1, 1)
        ratio = cluster_ratio(d, np.repeat(np.arange(250), 4).astype(str))
        naive.append(real_gate(d, 0.02).verdict)
        adjusted.append(real_gate(d, 0.02, cluster_se_ratio=ratio).verdict)
    for side in (Verdict.FAIL, Verdict.PASS):
        assert naive.count(side) / 250 > 0.06
        assert adjusted.count(side) / 250 <= 0.05


def test_the_two_stages_of_the_code_are_those_that_were_enumerated():
    result = group_sequential_gate(24, 20, 1000, (300, 1000), MARGIN, method="two-stage")
    assert result.details["boundary"] == pytest.approx(boundary(2, (0.3, 1.0), 0.05, pocock_spent))
