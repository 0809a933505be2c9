"""--slmsec-benchmarks asks some benchmarks of a suite, and the summary names the others."""

import pytest


@pytest.mark.parametrize("names", ["ports", "po*", "ports,cti-mcq", "p*,ports"])
def test_only_what_is_named_is_asked(toy, names):
    result = toy.run(f"--slmsec-benchmarks={names}", models=["alpha"])
    result.assert_outcomes(passed=20, deselected=1)
    assert {item.rpartition("-")[0] for item in toy.asked} == {"ports"}
    result.stdout.fnmatch_lines(["not asked (--slmsec-benchmarks): hashes"])


def test_without_it_all_are_asked_and_none_is_left_out(toy):
    result = toy.run(models=["alpha"])
    assert {item.rpartition("-")[0] for item in toy.asked} == {"ports", "hashes"}
    result.stdout.no_fnmatch_line("*not asked*")


def test_a_key_of_the_configuration(toy):
    (toy.pytester.path / "pyproject.toml").write_text('[tool.slmsec]\nbenchmarks = ["hashes"]\n')
    toy.run(models=["alpha"])
    assert {item.rpartition("-")[0] for item in toy.asked} == {"hashes"}


def test_a_key_that_holds_no_names(toy):
    (toy.pytester.path / "pyproject.toml").write_text("[tool.slmsec]\nbenchmarks = [5]\n")
    result = toy.run(models=["alpha"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*slmsec*benchmarks*5*"])


def test_a_name_that_fits_nothing_ends_the_run(toy):
    result = toy.run("--slmsec-benchmarks=ports,cti-mqc", models=["alpha"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--slmsec-benchmarks=cti-mqc: there is no such benchmark; did you mean cti-mcq*"])
    assert toy.notes() == []


def test_with_xdist(toy):
    pytest.importorskip("xdist")
    result = toy.run("--slmsec-benchmarks=ports", "-n2", models=["alpha"], subprocess=True)
    assert {item.rpartition("-")[0] for item in toy.asked} == {"ports"}
    result.stdout.fnmatch_lines(["not asked (--slmsec-benchmarks): cti-mcq, *"])


def test_limits_of_a_benchmark_that_is_left_out_are_no_mistake(toy):
    (toy.pytester.path / "pyproject.toml").write_text('[tool.slmsec.gate.hashes]\nmax_drop = "3pt"\n')
    result = toy.run("--slmsec-benchmarks=ports", models=["alpha"])
    result.assert_outcomes(passed=20, deselected=1)
