"""The table [tool.slmsec.gate]: presets, units, rules, and one clear error for everything else."""

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest

from pytest_slmsec.core import choices
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.policy.config import PRESETS, Fidelity, read_config
from pytest_slmsec.gates.policy.suite import Limits
from pytest_slmsec.gates.statistics.margins import Margin, Recorded
from pytest_slmsec.gates.statistics.size_threshold import Allowance
from pytest_slmsec.gating.marker import fits
from pytest_slmsec.tasks.registry import tasks

WHERE = "pyproject.toml [tool.slmsec.gate]"


def config(text, preset=None):
    return read_config(tomllib.loads(text), WHERE, preset)


def refusal(text, preset=None):
    with pytest.raises(UsageError) as caught:
        config(text, preset)
    return str(caught.value)


def test_without_a_table_the_preset_nightly_holds():
    found = config("")
    assert (found.preset_name, found.preset.margin(2500), found.on_inconclusive) == ("nightly", 0.02, "warn")
    assert found.suite == Limits(0.02, 0.05, 300)


@pytest.mark.parametrize(
    ("name", "small", "large", "on_inconclusive"),
    [("pr", 0.03, 0.03, "warn"), ("nightly", 0.02, 0.02, "warn"), ("release", 0.02, 0.01, "fail")],
)
def test_presets(name, small, large, on_inconclusive):
    found = config("", name)
    assert (found.preset.margin(2499), found.preset.margin(2500)) == (small, large)
    assert found.on_inconclusive == on_inconclusive


def test_a_full_table():
    found = config("""
        preset = "release"
        baseline = "baselines/phi3.json"
        scope = "benchmark"
        alpha = 0.01
        on_inconclusive = "skip"
        unparsable = "error"
        [suite]
        max_drop_macro = "1.5pt"
        max_drop_each = "4 points"
        required_min_items = 200
        [cti-mcq]
        metric = ["p_correct", "accuracy"]
        max_drop = "3pt"
        required = false
        reason = "four-bit build"
        expires = 2027-01-31
        [cti-vsp]
        max_increase = 0.2
        [collapse]
        max_increase = "10pt"
        [throughput]
        max_slowdown = "5%"
        [memory]
        max_increase = "2% + 16MiB"
        [size]
        max_increase = "1GiB"
        [fidelity]
        items = 100
        budget = 0.04
        blocks = true
    """)
    assert (found.baseline, found.scope, found.alpha) == ("baselines/phi3.json", "benchmark", 0.01)
    assert (found.on_inconclusive, found.unparsable) == ("skip", "error")
    assert found.suite == Limits(0.015, 0.04, 200)
    rule = found.rule("cti-mcq@fixture", "cti-mcq")
    assert (rule.metrics, rule.max_drop, rule.required) == (("p_correct", "accuracy"), Margin(0.03), False)
    assert found.rule("cti-vsp", "cti-vsp").max_increase == 0.2
    assert (found.max_collapse, found.max_slowdown) == (0.1, 0.05)
    assert found.memory == Allowance(0.02, 16 * 2**20)
    assert found.size == Allowance(0.0, 2**30)
    assert found.fidelity == Fidelity(100, 0.04, True)
    assert not found.rule("other", "other").own_margin


def test_the_command_line_names_the_preset_first():
    assert config('preset = "release"', "pr").preset_name == "pr"


def test_a_relative_margin_is_a_share_of_what_the_base_scores():
    margin = config('[a]\nmax_drop = "1%"').rules["a"].max_drop
    assert margin.of(0.6) == pytest.approx(0.006)
    assert Margin(0.02).of(0.6) == 0.02


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("presets = 3", "unknown key 'presets'; did you mean 'preset'?"),
        ('preset = "nightli"', "there is no preset 'nightli'; did you mean 'nightly'?"),
        ("alpha = 0.1", "must lie in (0, 0.05]"),
        ("alpha = true", "must lie in (0, 0.05]"),
        ('scope = "items"', "must be one of population, benchmark"),
        ('on_inconclusive = "stop"', "must be one of warn, fail, extend, skip"),
        ('early_stop = "pocock"', "must be one of off, obf, hybrid, anytime"),
        ('unparsable = "drop"', "must be one of worst, error"),
        ("baseline = 7", "must be a text"),
        ("suite = 3", "must be a table of keys, not 3"),
        ('[suite]\nmax_drop = "2pt"', "[tool.slmsec.gate.suite]: unknown key 'max_drop'; did you mean 'max_drop_each'"),
        ('[suite]\nmax_drop_macro = "2%"', "write points"),
        ("[suite]\nrequired_min_items = 0", "whole number of at least 1"),
        ('[cti-mcq]\nmaxdrop = "2pt"', "[tool.slmsec.gate.cti-mcq]: unknown key 'maxdrop'; did you mean 'max_drop'?"),
        ('[cti-mcq]\nmax_drop = "0pt"', "must lie strictly between 0 and 100"),
        ('[cti-mcq]\nmax_drop = "100pt"', "must lie strictly between 0 and 100"),
        ('[cti-mcq]\nmax_drop = "-1pt"', 'write "2pt" (points) or "1%"'),
        ("[cti-mcq]\nmax_drop = 2", 'write "2pt" (points) or "1%"'),
        ("[cti-vsp]\nmax_increase = 0", "write a positive number in the unit of the metric"),
        ("[cti-vsp]\nmax_increase = nan", "write a positive number in the unit of the metric"),
        ("[cti-mcq]\nmetric = []", "write a name or a list of names"),
        ('[cti-mcq]\nrequired = "yes"', "must be true or false"),
        ('[cti-mcq]\nexpires = "soon"', "write a date such as 2027-01-31"),
        ('[throughput]\nmax_slowdown = "5pt"', "write a percentage"),
        ("[throughput]\nrounds = 9", "must be at least 10; 20 is usual"),
        ("[throughput]\nround = 9", "unknown key 'round'; did you mean 'rounds'?"),
        ('[memory]\nmax_increase = "5 apples"', 'write "2%", "16MiB" or "2% + 16MiB"'),
        ("[memory]\nmax_increase = 5", 'write "2%", "16MiB" or "2% + 16MiB"'),
    ],
)
def test_one_sentence_for_each_mistake(text, message):
    found = refusal(text)
    assert message in found
    assert found.startswith("pyproject.toml [tool.slmsec.gate")


def test_a_table_about_no_benchmark_is_named_with_a_near_one():
    with pytest.raises(UsageError, match=r"gate\.cti-mqc\]: there is no benchmark 'cti-mqc'; did you mean 'cti-mcq'"):
        config('[cti-mqc]\nmax_drop = "2pt"').check_benchmarks(["cti-mcq", "cti-rcm"])


def test_past_its_date_a_changed_margin_warns():
    found = config('[cti-mcq]\nmax_drop = "4pt"\nreason = "new build"\nexpires = "2026-11-01"')
    assert found.warnings(date(2026, 11, 1)) == []
    (warning,) = found.warnings(date(2026, 11, 2))
    assert "gate.cti-mcq]: its margin was meant to hold until 2026-11-01 (it was changed because: new build)" in warning


def test_the_example_of_the_manual_can_be_read():
    page = Path(__file__).parents[4] / "docs" / "gate.md"
    (example,) = re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    found = read_config(tomllib.loads(example)["tool"]["slmsec"]["gate"], WHERE)
    assert found.rules["cti-mcq"].max_drop == Margin(0.04)


def test_every_key_of_a_configuration_at_once():
    found = config("""
        preset = "nightly"
        baseline = "baselines/qwen2.5-1.5b-bf16.slmsec.json"
        scope = "population"
        alpha = 0.05
        power = 0.80
        on_inconclusive = "warn"
        unparsable = "worst"
        [suite]
        max_drop_macro = "2pt"
        max_drop_each  = "5pt"
        required_min_items = 300
        adjust = "holm"
        [cti-mcq-choice]
        metric = ["p_correct", "accuracy"]
        max_drop = "1%"
        early_stop = "anytime"
        [cti-vsp]
        metric = "mad"
        max_increase = 0.10
        [fidelity]
        metric = "kl"
        budget = "recorded*1.5"
        items = 200
        [throughput]
        max_slowdown = "5%"
        rounds = 20
        [memory]
        max_increase = "2% + 16MiB"
    """)
    assert (found.power, found.suite.adjust, found.memory_runs) == (0.8, "holm", 2)
    assert found.fidelity == Fidelity(200, Recorded(1.5), False, "kl")
    assert found.rules["cti-mcq-choice"].max_drop == Margin(0.01, relative=True)
    for name, rule in found.rules.items():
        fits(rule, name, tasks()[name])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[suite]\nadjust = "none"', "must be one of holm"),
        ("power = 1", "must be at least 0.5 and below 1; 0.8 is usual"),
        ("power = 0.2", "must be at least 0.5 and below 1"),
        ('[fidelity]\nmetric = "tv"', "must be one of kl"),
        ("[fidelity]\nbudget = -1", "write a positive number"),
        ("[memory]\nruns = 3", "must be 1 or 2"),
    ],
)
def test_values_that_cannot_be_used(text, message):
    assert message in refusal(text)


def test_the_presets_of_the_option_are_those_that_have_margins():
    assert tuple(PRESETS) == choices.PRESETS
