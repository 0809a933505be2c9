"""pytest-benchmark's own options and commands work on our entries (a contract test of its undocumented parts)."""

import csv
import json
import subprocess
import sys

import pytest


def entries(path):
    return {entry["name"]: entry for entry in json.loads(path.read_text())["benchmarks"]}


def test_four_entries_a_benchmark_and_model(toy):
    result = toy.run("--benchmark-json=out.json")
    assert result.ret == 0
    made = entries(toy.pytester.path / "out.json")
    assert sorted(made) == sorted(
        f"{benchmark}:{metric}[{model}]"
        for benchmark in ("hashes", "ports")
        for metric in ("latency", "generation", "error_rate", "memory")
        for model in ("alpha", "beta")
    )
    error_rate = made["ports:error_rate[alpha]"]
    assert error_rate["stats"]["mean"] == pytest.approx(100 / 3)
    assert error_rate["fullname"] == "test_ports.py::ports:error_rate[alpha]"
    assert error_rate["params"] == {
        "benchmark": "ports", "model": "alpha", "base": "alpha", "quant": "none", "metric": "error_rate"
    }  # fmt: skip
    assert made["ports:latency[alpha]"]["stats"]["rounds"] == 30
    assert made["ports:generation[alpha]"]["stats"]["data"] == [0.5 / 40] * 3 + [0.5 / 30]


def test_extra_info_holds_what_a_comparison_needs(toy):
    toy.run("--benchmark-json=out.json", "--slmsec-tdp=15", models=("alpha",))
    info = entries(toy.pytester.path / "out.json")["ports:latency[alpha]"]["extra_info"]
    assert info["accuracy"] == pytest.approx(2 / 3)
    assert info["score_low"] < 2 / 3 < info["score_high"]
    assert info["correct_bits"] == "110" * 10
    assert (info["n_items"], info["n_valid"], info["n_correct"], info["n_errors"]) == (30, 30, 20, 0)
    assert (info["prompt_tokens"], info["new_tokens"]) == (3000, 150)
    assert info["prefill_tokens_per_s"] == pytest.approx(3000 / 0.5)  # four batches of 0.125 s
    assert info["decode_tokens_per_s"] == pytest.approx(120 / 1.0)  # the first token of each answer is prefill's
    assert info["engine"]["weights_sha256"] == "walpha"
    assert info["decoding"] == {"max_new_tokens": 8, "stop": [], "raw": False}
    assert info["energy_j"] is None
    assert info["reasons"]["energy_j"]
    assert info["energy_estimate_j"] == pytest.approx(15 * 2.0)  # four batches of half a second
    assert info["energy_estimate_method"].startswith("15 W (--slmsec-tdp) times 2 s of computing")


def test_every_answer_stands_in_the_file(toy):
    toy.run("--benchmark-autosave", models=("alpha",))
    (path,) = toy.pytester.path.glob(".benchmarks/*/0001_*.json")
    hashes, ports = json.loads(path.read_text())["slmsec"]["groups"]
    assert (hashes["benchmark"], ports["benchmark"], ports["model"]) == ("hashes", "ports", "alpha")
    items = ports["items"]
    assert items["item"][2] == "ports-00003"
    assert (items["text"][2], items["gold"][2], items["correct"][2]) == (" no", "yes", False)
    assert all(len(column) == 30 for column in items.values())


def test_a_part_of_a_group_is_never_written(toy):
    toy.run("--benchmark-json=out.json", "-k", "alpha and not ports-00001")
    assert {name.partition(":")[0] for name in entries(toy.pytester.path / "out.json")} == {"hashes"}


def test_the_machine_is_described_without_the_clock_rate_of_the_moment(toy):
    toy.run("--benchmark-json=out.json", models=("alpha",))
    machine = json.loads((toy.pytester.path / "out.json").read_text())["machine_info"]
    assert "hz_actual" not in machine["cpu"]
    assert machine["slmsec"]


def compare(toy, *args):
    command = [sys.executable, "-m", "pytest_benchmark", "compare", *args]
    done = subprocess.run(command, cwd=toy.pytester.path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_compare_command(toy):
    toy.run("--benchmark-autosave", subprocess=True)
    toy.run("--benchmark-autosave", subprocess=True)
    between = compare(toy, "0001", "0002", "--between=mean", "-k", "error_rate")
    assert "ports:error_rate[alpha]" in between
    grouped = compare(toy, "0001", "--group-by=param:base,param:benchmark,param:metric", "--columns=mean")
    assert "'base=alpha benchmark=ports metric=error_rate'" in grouped
    compare(toy, "0001", "--columns=mean,ops", "--csv=out.csv", "-k", "ports and alpha")
    rows = list(csv.DictReader((toy.pytester.path / "out.csv").open()))
    assert {row["param:metric"] for row in rows} == {"latency", "generation", "error_rate", "memory"}


def test_compare_within_a_run(toy):
    toy.run("--benchmark-autosave", models=("alpha",))
    path = toy.pytester.path / "test_ports.py"
    path.write_text(path.read_text().replace("n % 3", "n % 2"))
    result = toy.run("--benchmark-compare", "--benchmark-compare-fail=mean:5%", models=("alpha",), subprocess=True)
    result.stdout.fnmatch_lines(["*ports:error_rate?alpha? (NOW)*", "*slmsec results*"])
    assert result.ret == 1


@pytest.mark.parametrize(("wrong_before", "wrong_now", "status"), [(0, 0, 0), (0, 10, 1), (10, 10, 0), (10, 0, 0)])
def test_an_error_rate_of_zero_before_and_now_is_no_regression(toy, wrong_before, wrong_now, status):
    path = toy.pytester.path / "test_ports.py"
    (toy.pytester.path / "test_hashes.py").unlink()
    suite = path.read_text()
    for wrong, args in ((wrong_before, ()), (wrong_now, ("--benchmark-compare", "--benchmark-compare-fail=mean:900%"))):
        path.write_text(suite.replace("n % 3", f"n > {wrong}"))
        result = toy.run("--benchmark-autosave", *args, models=("alpha",), subprocess=True)
    assert result.ret == status
    assert ("error_rate[alpha] (0001_" in result.stdout.str() + result.stderr.str()) or not status


def test_a_zero_of_another_plugin_is_left_to_pytest_benchmark():
    from types import SimpleNamespace

    from pytest_benchmark.utils import PercentageRegressionCheck

    from pytest_slmsec.reports.benchmark_json import UnchangedZero

    class Entry(SimpleNamespace):
        def __getitem__(self, field):
            return getattr(self, field)

    check = UnchangedZero(PercentageRegressionCheck("mean", 5.0))
    assert check.fails(Entry(mean=0.0, extra_info={"slmsec_version": "0"}), {"mean": 0.0}) is None
    assert "inf > 5" in check.fails(Entry(mean=0.0, extra_info={}), {"mean": 0.0})
    assert "inf > 5" in check.fails(Entry(mean=1.0, extra_info={"slmsec_version": "0"}), {"mean": 0.0})


def test_benchmark_only_runs_our_cases(toy):
    toy.pytester.makepyfile(test_other="def test_plain():\n    pass\n")
    result = toy.run("--benchmark-only", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20, "skipped": 1}


def test_benchmark_skip_skips_them(toy):
    result = toy.run("--benchmark-skip", models=("alpha",))
    assert result.parseoutcomes() == {"skipped": 60}
    assert toy.notes() == []


def test_benchmark_disable_runs_them_and_records_nothing(toy):
    result = toy.run("--benchmark-disable", "--benchmark-json=out.json", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    path = toy.pytester.path / "out.json"
    assert not path.exists() or not path.read_text() or not entries(path)


def test_without_pytest_benchmark_the_summary_stays(toy):
    result = toy.run("-p", "no:benchmark", models=("alpha",))
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    result.stdout.fnmatch_lines(["*slmsec results*", "*alpha*", "ports * 66.7 % *"])


def test_xdist_gives_the_same_entries(toy):
    pytest.importorskip("xdist")
    result = toy.run("-n2", "--dist=loadfile", "--benchmark-json=out.json", models=("alpha",), subprocess=True)
    assert result.parseoutcomes() == {"passed": 40, "wrong": 20}
    info = entries(toy.pytester.path / "out.json")["ports:latency[alpha]"]["extra_info"]
    assert info["correct_bits"] == "110" * 10
