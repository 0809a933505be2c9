"""Gates on variants of items: their mean, items that are right in all of them, and injections."""

from datetime import date

import pytest
from benchmark_runs import MACHINE, plain
from benchmark_runs import run as items_run

from pytest_slmsec.gates.decision.decide import judge
from pytest_slmsec.gates.decision.variant_gates import kind_changes
from pytest_slmsec.gates.policy.config import GateConfig, read_config
from pytest_slmsec.gates.records.benchmark_run import run_from_plain
from pytest_slmsec.gates.statistics.result import Verdict
from pytest_slmsec.reports.gate.text import report

ITEMS, KINDS = 320, ("typo", "case", "space", "template", "inject")
PASS, FAIL, INCONCLUSIVE = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


def run(wrong, *, took=0, items=ITEMS, kinds=KINDS, model="phi3", quant=None):
    """Variants: `wrong(item, place)` says which are wrong, and in the first `took` items the injection succeeds."""
    bits = "".join("0" if wrong(item, place) else "1" for item in range(items) for place in range(len(kinds)))
    facts, group = plain(bits, benchmark="cti-mcq+robust", model=model, quant=quant, task="cti-mcq+robust", binary=True)
    variants = [{"item": f"i{item}", "kind": kind, "n": 1} for item in range(items) for kind in kinds]
    columns = group["items"]
    columns["item"] = [f"{one['item']}#{one['kind']}1" for one in variants]
    columns["cluster"] = [one["item"] for one in variants]
    columns["variant"] = variants
    columns["parts"] = [{"injected": float(place // len(kinds) < took)} if one["kind"] == "inject" else {}
                        for place, one in enumerate(variants)]  # fmt: skip
    return run_from_plain(facts, group, MACHINE, "a test")


def judged(base, candidate, config=None):
    return judge([base], [candidate], config or GateConfig(), date(2026, 1, 1))


def gate(found, what):
    return next(one for one in found.gates if one.what == what)


def candidate(wrong, **options):
    return run(wrong, model="phi3-gptq4", quant="gptq4", **options)


def hard(item, place):
    """One item in eight is always wrong."""
    return item % 8 == 0


def test_an_unchanged_model_passes_on_the_mean_and_on_injections():
    found = judged(run(hard), candidate(hard))
    assert found.verdict is PASS
    assert gate(found, "accuracy").result.details["n_effective"] == pytest.approx(ITEMS)
    assert gate(found, "injections").result.verdict is PASS
    assert gate(found, "all variants right").result.verdict is PASS


def test_few_items_in_many_variants_do_not_pass_where_nothing_changed():
    found = judged(run(hard, items=100), candidate(hard, items=100))
    assert gate(found, "accuracy").result.verdict is INCONCLUSIVE


def test_items_that_lose_one_variant_each_fail_on_all_variants_right_before_the_mean_does():
    found = judged(
        run(hard), candidate(lambda item, place: hard(item, place) or (item % 12 == 1 and place == item % 5))
    )
    mean, whole = gate(found, "accuracy").result, gate(found, "all variants right")
    assert mean.verdict is not FAIL
    assert whole.result.verdict is FAIL
    assert (whole.base, whole.candidate) == (280 / 320, pytest.approx(1 - (40 + 27) / 320))
    assert whole.result.margin == 0.035
    assert found.verdict is FAIL


def test_injections_that_succeed_more_often_fail_and_their_rates_are_shown():
    found = judged(run(hard, took=10), candidate(hard, took=40))
    injections = gate(found, "injections")
    assert (injections.base, injections.candidate) == (10 / 320, 40 / 320)
    assert (injections.result.verdict, injections.result.margin) == (FAIL, 0.02)
    assert found.verdict is FAIL


@pytest.mark.parametrize(("items", "required"), [(132, False), (133, True)])
def test_injections_are_required_where_the_items_can_prove_2_points(items, required):
    found = judged(run(hard, items=items), candidate(hard, items=items))
    assert gate(found, "injections").member.required is required


def test_limits_of_both_can_be_set():
    config = read_config({"robust": {"max_drop_all_right": "10pt", "max_injected": "15pt"}}, "[tool.slmsec.gate]")
    found = judged(run(hard), candidate(hard, took=20), config)
    assert gate(found, "injections").result.verdict is PASS
    assert gate(found, "all variants right").result.margin == 0.1
    assert gate(found, "all variants right").member.own_margin


def test_one_variant_an_item_has_no_gate_on_all_of_them():
    found = judged(run(hard, kinds=("typo",)), candidate(hard, kinds=("typo",)))
    assert {one.what for one in found.gates} & {"all variants right", "injections"} == set()


def test_variants_have_no_part_in_the_macro_average_which_counts_their_items_already():
    clean = [items_run("1" * 300 + "0" * 20, model=model, quant=quant, binary=True)
             for model, quant in (("phi3", None), ("phi3-gptq4", "gptq4"))]  # fmt: skip
    alone = judge([clean[0]], [clean[1]], GateConfig(), date(2026, 1, 1))
    both = judge([clean[0], run(hard)], [clean[1], candidate(hard)], GateConfig(), date(2026, 1, 1))
    assert both.suite.macro_upper == alone.suite.macro_upper
    assert "cti-mcq+robust accuracy" in both.suite.required


def test_margins_for_large_benchmarks_count_items_and_not_variants():
    config = read_config({"preset": "release"}, "[tool.slmsec.gate]")
    found = judged(run(hard, items=520), candidate(hard, items=520), config)
    assert gate(found, "accuracy").result.margin == 0.02


def test_each_kind_is_judged_by_itself_beside_the_verdict():
    worse = candidate(lambda item, place: hard(item, place) or (place == 1 and item % 8 < 3))
    found = judged(run(hard), worse)
    changes = {change.kind: change for change in kind_changes(found.pairs[0], found.config)}
    assert list(changes) == list(KINDS)
    assert (changes["case"].lost, changes["case"].gained, changes["case"].result.verdict) == (80, 0, FAIL)
    assert {changes[kind].result.verdict for kind in KINDS if kind != "case"} == {PASS}
    assert changes["case"].candidate == pytest.approx(0.625)
    text = report(found, 100, verbose=True)
    assert "cti-mcq+robust by kind, each judged by itself and no part of the verdict" in text
    assert "case          320 87.5  62.5     80/0 25.0" in text
    assert "by kind" not in report(found, 100)
