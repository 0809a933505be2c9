"""What markers and tables say about benchmarks is checked at collection, before anything runs."""

import pytest
from gate_runs import BOTH

MCQ = """
import pytest

@pytest.mark.slmsec("cti-mcq")
def test_mcq(answer):
    pass
"""


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def configured(runs, text):
    (runs.path / "pyproject.toml").write_text(text)


@pytest.mark.parametrize("name", ["prots", "cti-tax"])
def test_a_misspelt_table_stops_the_run_at_collection(runs, toy, name):
    runs.suite(150)
    configured(runs, f'[tool.slmsec.gate.{name}]\nmax_drop = "3pt"\n')
    result = runs.run(*BOTH)
    near = {"prots": "ports", "cti-tax": "cti-taa"}[name]
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"there is no benchmark '{name}'; did you mean '{near}'?" in said(result)
    assert toy.loads == []


def test_the_same_with_xdist(runs, toy):
    runs.suite(20)
    configured(runs, '[tool.slmsec.gate.cti-tax]\nmax_drop = "3pt"\n')
    result = runs.run(*BOTH, "-n2", subprocess=True)
    assert result.ret != 0
    assert "there is no benchmark 'cti-tax'; did you mean 'cti-taa'?" in said(result)
    assert toy.loads == []


def test_a_table_about_a_deselected_benchmark_is_no_mistake(runs):
    runs.suite(150, "ports")
    runs.suite(150, "hashes")
    configured(runs, '[tool.slmsec.gate.hashes]\nmax_drop = "3pt"\n')
    assert runs.run(*BOTH, "-k", "ports").ret == 0


def test_a_table_about_a_benchmark_of_another_file_is_no_mistake(runs):
    runs.suite(150, "ports")
    runs.suite(150, "sports")
    configured(runs, '[tool.slmsec.gate.ports]\nmax_drop = "3pt"\n')
    result = runs.pytester.runpytest_inprocess(*BOTH, "test_sports.py")
    assert result.ret == 0
    assert "[tool.slmsec.gate.ports]: no benchmark 'ports' was collected." in said(result)
    configured(runs, '[tool.slmsec.gate.cti-tax]\nmax_drop = "3pt"\n')
    assert runs.run(*BOTH, "test_sports.py").ret == pytest.ExitCode.USAGE_ERROR


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "max_increase = 0.1",
            "max_increase does not fit ports, whose accuracy is gated by how far it may get worse in points; write "
            'max_drop = "2pt"',
        ),
        ('metric = "p_correct"', "ports has no metric 'p_correct'; it has accuracy."),
    ],
)  # fmt: skip
def test_a_key_that_does_not_fit_the_metric_stops_the_run_at_collection(runs, toy, rule, message):
    runs.suite(150)
    configured(runs, f"[tool.slmsec.gate.ports]\n{rule}\n")
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in said(result)
    assert toy.loads == []


def test_a_probability_that_another_benchmark_has_is_found_there(runs):
    (runs.path / "test_mcq.py").write_text(MCQ)
    configured(runs, '[tool.slmsec.gate.cti-mcq]\nmetric = ["p_correct", "accuracy"]\n')
    result = runs.run(*BOTH, "--slmsec-data=fixture")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "Use cti-mcq-choice, which asks the same items so." in said(result)


def test_the_same_by_marker(runs):
    runs.suite(150, mark="@pytest.mark.slmsec_gate(max_increase=0.1)")
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "test_ports.py::test_ports @pytest.mark.slmsec_gate: max_increase does not fit ports" in said(result)


def test_a_marker_may_name_the_benchmark_of_its_test_and_no_other(runs):
    runs.suite(150, mark="@pytest.mark.slmsec_gate('ports', max_drop='3pt')")
    assert runs.run(*BOTH).ret == 0
    runs.suite(150, mark="@pytest.mark.slmsec_gate('hashes', max_drop='3pt')")
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "names 'hashes', but the test is about ports" in said(result)


def test_without_a_gate_its_rules_are_not_looked_at(runs):
    runs.suite(20)
    configured(runs, '[tool.slmsec.gate.cti-tax]\nmax_drop = "3pt"\n')
    assert runs.run(*BOTH, "--slmsec-no-gate").ret == 0


@pytest.mark.parametrize("columns", [80, 160])
def test_lines_at_collection_are_wrapped_to_the_terminal(runs, columns):
    runs.monkeypatch.setenv("COLUMNS", str(columns))
    for name in ("ports", "hashes", "addresses", "registry-keys"):
        runs.suite(60, name.replace("-", "_"))
    runs.suite(200, "large")
    result = runs.pytester.runpytest_subprocess(*BOTH)
    lines = result.stdout.str().splitlines()
    start = next(row for row, line in enumerate(lines) if line.startswith("slmsec gate: 4 of 5 benchmarks"))
    assert max(map(len, lines[start : start + 4])) <= columns
    found = " ".join(result.stdout.str().split())
    assert found.count("addresses (60 of 133 items), hashes (60 of 133 items)") == 1
    assert "an unchanged model may well stay undecided: large (200 items; needs about 928)" in found


def test_a_benchmark_with_a_rule_of_its_own_that_is_too_small_is_a_warning(runs):
    runs.suite(50, mark="@pytest.mark.slmsec_gate(max_drop='2pt')")
    result = runs.run(*BOTH)
    assert result.ret == 0
    assert ('FeasibilityWarning: ports has 50 items; even with no changed answer it can only prove "at most 5.1 points '
            'worse". It can FAIL (from a drop of about' in said(result))  # fmt: skip
    strict = runs.run(*BOTH, "-W", "error::pytest_slmsec.FeasibilityWarning")
    assert strict.ret != 0
    runs.suite(50, mark="@pytest.mark.slmsec_gate(max_drop='6pt')")
    assert "FeasibilityWarning" not in said(runs.run(*BOTH))


def test_the_other_small_ones_share_a_warning(runs):
    for name in ("ports", "hashes"):
        runs.suite(60, name)
    found = said(runs.run(*BOTH))
    assert found.count("FeasibilityWarning") == 1
    assert "too few items: hashes (60 of 133 items), ports (60 of 133 items)" in found
    assert "FeasibilityWarning" not in said(runs.run("--model=alpha"))


def test_the_warning_comes_once_from_several_workers(runs):
    runs.suite(60)
    assert said(runs.run(*BOTH, "-n2", subprocess=True)).count("FeasibilityWarning") == 1
