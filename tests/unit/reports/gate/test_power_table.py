"""What can be shown with the items there are."""

from dataclasses import replace

from pytest_slmsec.gates.policy.config import read_config
from pytest_slmsec.gates.statistics.paired_binary import binary_gate
from pytest_slmsec.reports.gate.power_table import Planned, plan_table, remarks, too_small
from pytest_slmsec.tasks.registry import find_task, tasks

NIGHTLY = read_config({}, "[gate]")


def planned(name, n=None):
    task = find_task(name)
    return Planned(name, task, n or task.n_items)


def test_the_table_of_the_published_benchmarks():
    lines = plan_table([planned("cti-mcq"), planned("cti-mcq-choice"), planned("cti-vsp"), planned("cti-ate")], NIGHTLY)
    assert lines[2:7] == [
        "benchmark       items  limit  can prove  unchanged  fails from  needed",
        "cti-mcq         2,500   2 pt     0.1 pt       99 %      3.5 pt     928",
        "cti-mcq-choice  2,500   2 pt  the limit          -           -     150",
        "cti-vsp         1,000    0.1  the limit          -           -     950",
        "cti-ate            60   5 pt    nothing          -           -     150",
    ]


def test_benchmarks_that_cannot_pass_are_named():
    assert too_small([planned("cti-mcq"), planned("cti-rcm", 1000)], NIGHTLY) is None
    assert too_small([planned("cti-mcq"), planned("cti-taa"), planned("cti-vsp", 298)], NIGHTLY) == (
        "slmsec gate: can FAIL but not PASS, too few items: cti-taa (50 of 133 items), cti-vsp (298 of 299 items)"
    )


def test_of_many_the_first_few_are_named():
    many = [replace(planned("cti-taa"), label=f"set-{row}") for row in range(31)]
    assert too_small(many, NIGHTLY) == (
        "slmsec gate: can FAIL but not PASS, too few items: set-0 (50 of 133 items), set-1 (50 of 133 items), set-2 "
        "(50 of 133 items), set-3 (50 of 133 items) and 27 more; --slmsec-plan shows all"
    )
    (said,) = remarks([*many, planned("cti-mcq")], NIGHTLY)
    assert said == ("slmsec gate: 31 of 32 benchmarks can FAIL but not PASS, too few items; --slmsec-plan shows which")


def test_benchmarks_that_hardly_pass_are_named_with_the_number_of_the_plan():
    (said,) = remarks([planned("cti-rcm", 150)], NIGHTLY)
    assert "an unchanged model may well stay undecided: cti-rcm (150 items; needs about 928)" in said
    assert plan_table([planned("cti-rcm", 150)], NIGHTLY)[3].endswith(" 928")


def test_the_number_of_the_plan_is_that_of_the_verdict_under_the_same_assumptions():
    found = binary_gate(12, 12, 400, 0.02).details  # 6 % changed, no drop
    assert found["items_needed"] == planned("cti-rcm").needed(NIGHTLY)


def test_more_power_needs_more_items():
    assert planned("cti-rcm").needed(read_config({"power": 0.9}, "[gate]")) > 1200


def test_where_each_benchmark_is_a_fact_none_is_too_small():
    facts = read_config({"scope": "benchmark"}, "[gate]")
    assert too_small([planned("cti-taa")], facts) is None
    assert remarks([planned("cti-taa")], facts) == []


def test_the_table_fits_eighty_columns_with_every_built_in_benchmark():
    assert (
        max(map(len, plan_table([planned(name) for name, task in tasks().items() if task.n_items], NIGHTLY, 80))) <= 80
    )


def test_what_the_columns_mean_is_wrapped():
    for width in (80, 160):
        assert max(map(len, plan_table([planned("cti-rcm")], NIGHTLY, width))) <= width


def test_a_larger_limit_needs_fewer_items():
    config = read_config({"cti-taa": {"max_drop": "6pt"}, "cti-vsp": {"max_increase": 0.5}}, "[gate]")
    assert planned("cti-taa").floor(config) == 43
    assert planned("cti-vsp").floor(config) == 150
    assert too_small([planned("cti-taa", 104), planned("cti-vsp", 150)], config) is None
