"""How the differences of a benchmark become a verdict: at once, at looks, and in clusters."""

from dataclasses import replace

import numpy as np
import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.decision.methods import Method
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.statistics.alpha_spending import group_sequential_gate
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import early_stopping_design, obf_looks, two_stage_design

CONFIG = GateConfig()


def flags(lost, gained, n) -> tuple[np.ndarray, np.ndarray]:
    """Base and candidate: `lost` items only the base gets right, `gained` only the candidate, the rest both."""
    before, after = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    after[:lost] = False
    before[lost : lost + gained] = False
    return before, after


def method(n, name="obf", n_total=1000, config=CONFIG):
    return Method(config, n, early_stopping_design(name, n_total, 100))


def test_without_a_visit_it_is_the_ordinary_gate():
    assert Method(CONFIG, 500).binary(*flags(20, 5, 500), 0.02, "g", 0.99) == binary_gate(
        20, 5, 500, 0.02, base_accuracy=0.99, gate="g"
    )


def test_at_a_look_it_is_the_gate_of_that_look():
    expected = group_sequential_gate(60, 10, 400, obf_looks(1000), 0.02, gate="g")
    assert method(400).binary(*flags(60, 10, 400), 0.02, "g", 0.97) == expected


@pytest.mark.parametrize("name", ["obf", "hybrid", "anytime"])
def test_every_method_knows_how_many_items_there_are(name):
    result = method(400, name).binary(*flags(60, 10, 400), 0.02, "g")
    assert (result.n, result.details["n_total"], result.verdict) == (400, 1000, Verdict.FAIL)
    assert (result.details["lost"], result.details["gained"]) == (60, 10)


def test_the_whole_margin_of_a_weak_base_must_not_be_used_up():
    n = 600
    before, after = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    before[:12] = after[:12] = True  # 2 % right: at most half a point may be lost
    result = method(n).binary(before, after, 0.02, "g", 0.02)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "The base gets only 2.0 % right" in result.reasons[0]
    assert method(n).binary(before, after, 0.02, "g").verdict is Verdict.PASS


def test_scores_with_values_in_between_need_the_betting_test():
    differences = np.zeros(400)
    with pytest.raises(UsageError, match='early_stop = "obf" is for right and wrong answers'):
        method(400).real(differences, 0.02, 1.0, "cti-mcq p_correct", "points")
    result = method(400, "anytime").real(differences, 0.02, 1.0, "g", "points")
    assert (result.verdict, result.method, result.details["n_total"]) == (Verdict.PASS, "betting", 1000)


def test_a_part_of_exactly_these_items_is_judged_without_replacement():
    exact = replace(CONFIG, scope="benchmark")
    part = method(400, config=exact).binary(*flags(0, 0, 400), 0.02, "g")
    assert (part.verdict, part.method, part.p_fail) == (Verdict.PASS, "without-replacement", None)
    whole = method(1000, config=exact).binary(*flags(21, 0, 1000), 0.02, "g")
    assert (whole.verdict, whole.lower, whole.upper) == (Verdict.FAIL, 0.021, 0.021)


# -- two stages


def stage(n, config=CONFIG, clusters=None):
    return Method(config, n, two_stage_design(range(300), 1000), clusters)


def test_a_sample_and_then_the_rest():
    assert stage(300).binary(*flags(40, 5, 300), 0.02, "g").verdict is Verdict.FAIL
    assert stage(300).binary(*flags(6, 4, 300), 0.02, "g").verdict is Verdict.INCONCLUSIVE
    assert stage(1000).binary(*flags(20, 18, 1000), 0.02, "g").verdict is Verdict.PASS


def test_two_stages_of_a_real_valued_score_share_the_error_rate():
    d = np.tile([0.3, -0.3, 0.0, 0.0, 0.0], 60)
    ordinary, staged = (
        Method(CONFIG, 300).real(d, 0.05, 1.0, "g", "points"),
        stage(300).real(d, 0.05, 1.0, "g", "points"),
    )
    assert staged.upper > ordinary.upper
    assert staged.lower < ordinary.lower
    assert staged.p_fail >= ordinary.p_fail
    assert staged.details["n_total"] == 1000


# -- clusters


def clustered(n=400, size=4) -> tuple[tuple[str, ...], tuple[np.ndarray, np.ndarray]]:
    """Passages of `size` questions; whole passages are lost."""
    return tuple(f"passage {row // size}" for row in range(n)), flags(16, 0, n)


def test_items_in_clusters_count_less():
    clusters, pair = clustered()
    plain, result = (
        Method(CONFIG, 400).binary(*pair, 0.02, "g"),
        Method(CONFIG, 400, None, clusters).binary(*pair, 0.02, "g"),
    )
    ratio = result.details["cluster_se_ratio"]
    assert ratio == pytest.approx(2.0, abs=0.05)  # all four questions of a passage go together
    assert result.details["n_effective"] == pytest.approx(400 / ratio**2)
    assert result.details["clusters"] == 100
    assert result.lower < plain.lower
    assert result.upper > plain.upper
    assert any(text.startswith("The 400 items come in 100 clusters and count as") for text in result.reasons)


def test_clusters_that_make_no_difference_change_nothing_but_the_record():
    pair = flags(16, 0, 400)
    spread = tuple(f"passage {row % 100}" for row in range(400))
    plain, result = (
        Method(CONFIG, 400).binary(*pair, 0.02, "g"),
        Method(CONFIG, 400, None, spread).binary(*pair, 0.02, "g"),
    )
    assert (result.lower, result.upper, result.reasons) == (plain.lower, plain.upper, plain.reasons)
    assert result.details["cluster_se_ratio"] == 1.0


def test_a_real_valued_score_in_clusters_has_wider_bounds_and_a_higher_floor():
    clusters, _ = clustered(800)
    d = np.repeat(np.tile([0.2, -0.2, 0.0, 0.0, 0.0], 40), 4)
    plain, result = (
        Method(CONFIG, 800).real(d, 0.05, 1.0, "g", "points"),
        Method(CONFIG, 800, None, clusters).real(d, 0.05, 1.0, "g", "points"),
    )
    ratio = result.details["cluster_se_ratio"]
    assert ratio == pytest.approx(2.0, abs=0.02)
    assert result.upper - result.estimate == pytest.approx(ratio * (plain.upper - plain.estimate))
    assert result.details["floor_items"] == pytest.approx(150 * ratio**2, abs=1)


def test_early_stopping_needs_independent_items():
    clusters, pair = clustered()
    with pytest.raises(UsageError, match="takes items as independent, and these come in clusters"):
        Method(CONFIG, 400, early_stopping_design("obf", 1000, 100), clusters).binary(*pair, 0.02, "g")


def test_two_stages_in_clusters_share_the_error_rate():
    clusters, pair = clustered(300)
    once, staged = (
        Method(CONFIG, 300, None, clusters).binary(*pair, 0.02, "g"),
        stage(300, clusters=clusters).binary(*pair, 0.02, "g"),
    )
    assert staged.lower < once.lower
    assert staged.details["n_total"] == 1000
