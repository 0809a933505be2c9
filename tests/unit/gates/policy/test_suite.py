"""The verdict on many gates: macro average, guard, Holm and veto."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.policy.suite import (
    ADJUSTMENTS,
    Kind,
    Limits,
    Member,
    benjamini_hochberg,
    holm,
    macro_bounds,
    suite_verdict,
)
from pytest_slmsec.gates.statistics.betting import benchmark_gate
from pytest_slmsec.gates.statistics.kl_bound import fidelity_gate
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.gates.statistics.paired_real import real_gate
from pytest_slmsec.gates.statistics.paired_throughput import throughput_gate
from pytest_slmsec.gates.statistics.result import GateResult, Verdict
from pytest_slmsec.gates.statistics.size_threshold import MIB, memory_gate

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=15)


def score(name, lost, gained, n, **options):
    return Member(binary_gate(lost, gained, n, 0.02, gate=name), **options)


UNCHANGED = [score("mcq", 70, 72, 2500), score("rcm", 28, 30, 1000), score("gsm8k", 35, 36, 1319)]


def test_an_unchanged_model_passes():
    found = suite_verdict(UNCHANGED)
    assert found.verdict is Verdict.PASS
    assert found.reasons == ()
    assert found.macro_lower < found.macro < found.macro_upper < 0.02
    assert found.required == ("mcq", "rcm", "gsm8k")


def test_one_damaged_benchmark_fails_the_suite():
    found = suite_verdict([*UNCHANGED, score("vsp", 150, 30, 1000)])
    assert found.verdict is Verdict.FAIL
    assert "vsp: the drop is beyond its limit" in found.reasons[0]
    assert found.gate_verdicts["vsp"] is Verdict.FAIL


def test_many_small_drops_fail_through_the_macro_average():
    family = [score(str(i), 70, 30, 1000) for i in range(12)]
    found = suite_verdict(family)
    assert min(found.p_holm.values()) > 0.025
    assert found.verdict is Verdict.FAIL
    assert found.reasons[0].startswith("The mean drop over 12 required gates is at least")


def test_a_raw_alarm_vetoes_pass_but_does_not_fail():
    found = suite_verdict([*UNCHANGED, score("small", 6, 0, 60)])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "vetoes PASS" in found.reasons[0]
    assert "small" not in found.required
    assert found.gate_verdicts["small"] is Verdict.INCONCLUSIVE


def test_a_gate_fails_in_the_family_exactly_where_it_fails_the_suite():
    result = replace(binary_gate(20, 6, 400, 0.02, gate="one"), verdict=Verdict.FAIL, p_fail=0.015)
    two = [Member(result, primary=False), score("other", 0, 0, 400)]
    found = suite_verdict(two)
    assert found.p_holm["one"] == pytest.approx(0.03)  # between 0.025 and 0.05
    assert found.gate_verdicts["one"] is found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons == ("one: an unadjusted alarm (p = 0.015) vetoes PASS.",)
    certain = suite_verdict([Member(replace(result, p_fail=0.012), primary=False), two[1]])
    assert certain.gate_verdicts["one"] is certain.verdict is Verdict.FAIL


def test_a_small_benchmark_can_fail_the_suite():
    assert suite_verdict([*UNCHANGED, score("small", 20, 0, 50)]).verdict is Verdict.FAIL


def test_small_benchmarks_alone_never_pass():
    found = suite_verdict([score("taa", 0, 0, 150), score("ate", 0, 0, 200)])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.macro is None
    assert "No benchmark has the 300 items" in found.reasons[0]
    assert suite_verdict([score("taa", 0, 0, 150, required=True), score("ate", 0, 0, 200)]).verdict is Verdict.PASS


def test_every_required_benchmark_must_be_within_the_guard():
    found = suite_verdict([*UNCHANGED, score("uncertain", 60, 60, 320)])
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.reasons == ("uncertain: not shown to be within 5 points.",)


def test_a_margin_set_for_one_gate_must_be_met():
    loose = score("wide", 15, 10, 400)
    own = score("wide", 15, 10, 400, own_margin=True)
    assert suite_verdict([*UNCHANGED, loose]).verdict is Verdict.PASS
    assert suite_verdict([*UNCHANGED, own]).verdict is Verdict.INCONCLUSIVE


def test_parse_rate_can_fail_but_is_not_averaged():
    parse = score("mcq parse rate", 300, 0, 2500, kind=Kind.PARSE)
    found = suite_verdict([*UNCHANGED, parse])
    assert found.verdict is Verdict.FAIL
    assert found.macro == suite_verdict(UNCHANGED).macro


def test_a_second_metric_of_a_benchmark_is_not_averaged():
    second = score("mcq accuracy", 40, 30, 2500, primary=False)
    assert suite_verdict([*UNCHANGED, second]).macro == suite_verdict(UNCHANGED).macro


def test_fidelity_alone_neither_passes_nor_fails_a_suite():
    kl = fidelity_gate([0.5] * 30, 0.05)
    assert suite_verdict([*UNCHANGED, Member(kl, Kind.FIDELITY)]).verdict is Verdict.INCONCLUSIVE
    assert suite_verdict([*UNCHANGED, Member(kl, Kind.FIDELITY, blocks=True)]).verdict is Verdict.FAIL
    near = fidelity_gate([0.01] * 30, 0.05)
    assert suite_verdict([Member(near, Kind.FIDELITY), score("taa", 0, 0, 60)]).verdict is Verdict.INCONCLUSIVE


def test_cost_gates():
    too_big = Member(memory_gate([1000 * MIB] * 2, [2000 * MIB] * 2), Kind.COST)
    one_run = memory_gate([1000 * MIB], [900 * MIB])
    slow = Member(throughput_gate([0.3 + 0.001 * i for i in range(20)]), Kind.COST)
    assert suite_verdict([*UNCHANGED, too_big]).verdict is Verdict.FAIL
    assert suite_verdict([*UNCHANGED, slow]).verdict is Verdict.FAIL
    assert suite_verdict([*UNCHANGED, Member(one_run, Kind.COST)]).verdict is Verdict.PASS
    assert suite_verdict([*UNCHANGED, Member(one_run, Kind.COST, required=True)]).verdict is Verdict.INCONCLUSIVE


def test_a_benchmark_known_in_full_fails_as_a_fact():
    fact = benchmark_gate([-1.0] * 100 + [0.0] * 900, 1000, 0.02, gate="fact")
    assert suite_verdict([*UNCHANGED, Member(fact)]).verdict is Verdict.FAIL


def test_a_broken_comparison_is_an_error_whatever_else_fails():
    broken = GateResult("vsp", Verdict.ERROR, 0, None, None, None, 0.02, None, "none")
    found = suite_verdict([score("rcm", 300, 0, 1000), Member(broken)])
    assert found.verdict is Verdict.ERROR
    assert "vsp" in found.reasons[0]


@pytest.mark.parametrize(("lost", "expected"), [(0, Verdict.PASS), (60, Verdict.FAIL), (25, Verdict.INCONCLUSIVE)])
def test_a_suite_of_one_gate_is_that_gate(lost, expected):
    assert suite_verdict([score("only", lost, 0, 1000)]).verdict is expected


def test_scales_are_put_on_a_common_footing():
    cvss = real_gate([-0.1, 0.1] * 500, 0.10, scale=10.0, gate="vsp")
    mean, bounds = macro_bounds([cvss])
    assert mean == pytest.approx(0.0)
    assert bounds.upper == pytest.approx(cvss.upper / 10)


def test_one_gate_averaged_has_its_own_upper_bound():
    result = binary_gate(0, 0, 400, 0.02)
    assert macro_bounds([result])[1].upper == pytest.approx(result.upper)


def test_the_result_survives_json():
    found = suite_verdict(UNCHANGED)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["verdict"] == "PASS"


def test_holms_example():
    # Worked by hand: 0.005 x 4, 0.01 x 3, 0.03 x 2, then the running maximum.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.02, 0.04, 0.04, 0.02])


@given(P_VALUES, st.randoms())
def test_adjusting_never_lowers_and_follows_permutations(p, random):
    order = list(range(len(p)))
    random.shuffle(order)
    for adjust in (holm, benjamini_hochberg):
        adjusted = adjust(p)
        assert all(raw <= a <= 1 for raw, a in zip(p, adjusted, strict=True))
        assert adjust([p[i] for i in order]) == pytest.approx([adjusted[i] for i in order])
    assert all(b <= h + 1e-12 for b, h in zip(benjamini_hochberg(p), holm(p), strict=True))


def test_the_configured_adjustment_is_the_one_that_is_used(monkeypatch):
    monkeypatch.setitem(ADJUSTMENTS, "none", list)
    family = [*UNCHANGED, score("vsp", 36, 14, 500)]
    raw = {m.result.gate: m.result.p_fail for m in family}
    assert suite_verdict(family, Limits(adjust="none")).p_holm == raw
    assert suite_verdict(family, Limits(adjust="holm")).p_holm["vsp"] == pytest.approx(min(1, 4 * raw["vsp"]))


def test_bad_families_are_refused():
    with pytest.raises(UsageError, match="at least one gate"):
        suite_verdict([])
    with pytest.raises(UsageError, match="same name: mcq"):
        suite_verdict([UNCHANGED[0], UNCHANGED[0]])
    with pytest.raises(UsageError, match="p-values"):
        holm([0.5, 1.5])
    with pytest.raises(UsageError, match="macro average"):
        macro_bounds([])


@given(st.integers(0, 150), st.integers(0, 150), st.integers(0, 80))
def test_more_lost_answers_never_improve_the_suite(lost, gained, more):
    rank = [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL].index
    one = suite_verdict([*UNCHANGED, score("vsp", lost, gained, 400)], Limits())
    worse = suite_verdict([*UNCHANGED, score("vsp", lost + more, gained, 400)], Limits())
    assert rank(worse.verdict) >= rank(one.verdict)
