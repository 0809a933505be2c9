"""Runs that stopped early: what they are compared with, when they may stop, what their record says."""

import json
from dataclasses import replace
from datetime import date

import pytest
from benchmark_runs import content, plain, run

from pytest_slmsec.core.errors import CompareError
from pytest_slmsec.gates.decision.combine import early_verdict
from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.score_gates import score_gates
from pytest_slmsec.gates.policy.config import GateConfig
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.gates.records.comparability import pair, restricted
from pytest_slmsec.gates.records.saved_runs import runs_from_json
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.gates.statistics.sequential_design import SequentialDesign, early_stopping_design

CONFIG = GateConfig()
N = 500
DESIGN = early_stopping_design("obf", N, 256)


def bits(wrong, n=N):
    return "".join("0" if row in wrong else "1" for row in range(n))


def candidate(n, wrong, design=DESIGN):
    """The first `n` items of the design."""
    whole = run(bits(wrong), model="phi3-gptq4", quant="gptq4")
    facts = {**whole.facts, "n_expected": n, "early_stop": design.to_json()}
    return replace(whole.taken(design.item_order[:n]), facts=facts)


def gates(base, part):
    return score_gates(pair(restricted(base, part), part), CONFIG)


BASE = run(bits(range(0, N, 5)))
UNCHANGED = set(range(0, N, 5))


def test_the_base_is_cut_to_what_the_candidate_was_asked():
    part = candidate(200, UNCHANGED)
    base = restricted(BASE, part)
    assert list(base.columns["item"]) == list(part.columns["item"])
    assert base.n == 200
    assert restricted(BASE, candidate(N, UNCHANGED)) is BASE


def test_items_that_the_base_lacks_stay_an_error():
    part = candidate(200, UNCHANGED)
    with pytest.raises(CompareError, match="are not the base's"):
        gates(run(bits(range(0, 100, 5), 100)), part)


def test_a_base_that_stopped_before_is_no_base_for_the_rest():
    early = replace(candidate(200, UNCHANGED), model="phi3")
    with pytest.raises(CompareError, match="cti-mcq on phi3 stopped early, after 200 of 500 items, and lacks 100"):
        restricted(early, candidate(300, UNCHANGED))
    assert restricted(early, candidate(100, UNCHANGED)).n == 100


def test_nothing_is_settled_before_a_look_can_tell():
    assert early_verdict(gates(BASE, candidate(100, UNCHANGED)), 1) is None
    assert early_verdict(gates(BASE, candidate(300, UNCHANGED)), 1) is Verdict.PASS


def test_one_gate_that_fails_settles_a_benchmark():
    worse = UNCHANGED | set(range(1, N, 8))
    assert early_verdict(gates(BASE, candidate(200, worse)), 1) is Verdict.FAIL


def test_among_many_benchmarks_a_fail_must_hold_in_the_family():
    slightly = UNCHANGED | set(range(1, N, 21))
    found = gates(BASE, candidate(N, slightly))
    assert found[0].result.verdict is Verdict.FAIL
    assert 0.025 / 40 < found[0].result.p_fail < 0.05
    assert early_verdict(found, 1) is Verdict.FAIL
    assert early_verdict(found, 13) is None


def test_all_that_decide_must_pass():
    base = replace(BASE, columns={**BASE.columns, "parsed": [True] * N})
    part = candidate(300, UNCHANGED)
    unread = [place % 100 == 0 for place in range(300)]
    part = replace(part, columns={**part.columns, "parsed": [not u for u in unread]})
    found = gates(base, part)
    assert found[0].result.verdict is Verdict.PASS
    assert early_verdict(found, 1) is None


def test_a_look_out_of_schedule_is_refused():
    from pytest_slmsec.core.errors import UsageError

    with pytest.raises(UsageError, match="not after 150"):
        gates(BASE, candidate(150, UNCHANGED))


def test_the_margin_is_that_of_the_whole_benchmark():
    """The preset `release` allows 1 point from 2500 items on, of which a look may have seen fewer."""
    n = 2500
    base, design = run("1" * n), early_stopping_design("obf", n, 256)
    whole = run("1" * n, model="phi3-gptq4", quant="gptq4")
    part = replace(
        whole.taken(design.item_order[:500]), facts={**whole.facts, "n_expected": 500, "early_stop": design.to_json()}
    )
    from pytest_slmsec.gates.policy.config import read_config

    release = read_config({"preset": "release"}, "here]")
    assert {g.result.margin for g in score_gates(pair(restricted(base, part), part), release)} == {0.01, 0.2}


def test_the_judgement_says_what_was_saved_and_is_reproduced_from_the_record():
    worse = UNCHANGED | set(range(1, N, 8))
    part = candidate(200, worse)
    live = judge([BASE], [part], CONFIG, date(2026, 1, 1))
    seen = live.to_json()["early_stop"]["cti-mcq"]
    assert (seen["n"], seen["n_total"], seen["saved"], seen["method"]) == (200, 500, 300, "obf")

    facts = {**part.facts, "correct_bits": None, "parsed_bits": None, "score": None}
    stored = {"benchmark": part.benchmark, "model": part.model, "items": dict(part.columns), "facts": facts}
    file = json.loads(json.dumps({**content(), "slmsec": {"format": 1, "groups": [], "stopped": [stored]}}))
    again = judge([BASE], runs_from_json(file, "candidate.json"), CONFIG, date(2026, 1, 1))
    assert again.to_json()["gates"][:3] == live.to_json()["gates"][:3]
    assert again.verdict is live.verdict is Verdict.FAIL


def test_a_whole_candidate_that_could_have_stopped_is_judged_at_its_last_look():
    found = gates(BASE, candidate(N, UNCHANGED))
    assert (found[0].result.method, found[0].result.details["look"]) == ("obf", 5)


def test_a_candidate_that_stopped_may_have_had_smaller_batches_only():
    part = candidate(200, UNCHANGED)
    smaller, larger = (replace(part, facts={**part.facts, "largest_batch": size}) for size in (7, 9))
    assert pair(restricted(BASE, smaller), smaller).cost_errors == ()
    assert "The batch size differs (8 and 9)" in pair(restricted(BASE, larger), larger).cost_errors[0]


def test_a_part_without_an_order_is_still_no_arm():
    facts, group = plain("1" * 50, n_expected=100)
    with pytest.raises(CompareError, match="50 of 100 items; a part is never compared"):
        run_from_plain(facts, group, {}, "run.json")


def test_a_visit_of_a_sample_is_judged_in_two_stages():
    design = SequentialDesign("two-stage", 0, tuple(range(N)), (200, N))
    found = gates(BASE, candidate(200, UNCHANGED, design))
    assert found[0].result.method == "two-stage"
