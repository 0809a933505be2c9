"""Taking a run into a baseline: what was measured is replaced, everything else stays."""

import json

import pytest
from gate_runs import gates


def said(result):
    return " ".join(result.stdout.str().split())


def update(runs, *args, model="alpha"):
    return runs.run(f"--model={model}", "--slmsec-baseline=base.json", "--slmsec-update-baseline", *args)


def stored(runs):
    content = json.loads((runs.path / "base.json").read_text())
    return {(group["benchmark"], group["model"]): group for group in content["slmsec"]["groups"]}


def entries(runs):
    found = json.loads((runs.path / "base.json").read_text())["benchmarks"]
    return [entry["fullname"] for entry in found]


@pytest.fixture
def two(runs):
    """A baseline of two benchmarks on alpha."""
    runs.suite(150, "ports")
    runs.suite(150, "hashes")
    assert update(runs).ret == 0
    return runs


def test_the_first_one_is_written_and_says_so(runs):
    runs.suite(150)
    result = update(runs)
    assert f"The baseline {runs.path / 'base.json'} was written. Added: ports on alpha." in said(result)


def test_a_part_of_the_benchmarks_replaces_only_theirs(two):
    before = stored(two)
    path = two.path / "base.json"
    content = json.loads(path.read_text())
    content["machine_info"]["slmsec"]["cpu"] = "an older one"
    content["slmsec"]["accepted"] = {"date": "2026-01-31", "verdicts": {}, "reason": "the first"}
    for group in content["slmsec"]["groups"]:
        del group["accepted"]
    path.write_text(json.dumps(content))
    result = update(two, "-k", "ports", "--slmsec-force=a newer machine")
    assert result.ret == 0
    assert "Replaced: ports on alpha. Kept as accepted before: hashes on alpha (2026-01-31)." in said(result)
    after = stored(two)
    assert list(after) == list(before)
    assert after["hashes", "alpha"]["items"] == before["hashes", "alpha"]["items"]
    assert after["hashes", "alpha"]["accepted"]["reason"] == "the first"
    assert after["hashes", "alpha"]["run"]["machine"]["cpu"] == "an older one"
    assert after["ports", "alpha"]["accepted"]["reason"] == "a newer machine"
    assert len(entries(two)) == len(set(entries(two))) == 8


def test_what_was_kept_is_compared_with_the_machine_it_was_measured_on(two):
    path = two.path / "base.json"
    content = json.loads(path.read_text())
    content["machine_info"]["slmsec"]["cpu"] = "an older one"
    path.write_text(json.dumps(content))
    update(two, "-k", "ports")
    result = two.run("--model=alpha", "--slmsec-baseline=base.json")
    assert "hashes: The CPU differs (an older one and" in said(result)
    assert "ports: The CPU differs" not in said(result)


def test_another_model_is_added(two):
    result = update(two, model="beta")
    assert result.ret == 0
    assert "Added: hashes on beta, ports on beta. Kept as accepted before: hashes on alpha (" in said(result)
    assert {model for _, model in stored(two)} == {"alpha", "beta"}
    assert gates(two.run("--model=alpha", "--slmsec-baseline=base.json"))["gates"] > 0


def test_a_part_of_a_benchmark_never_replaces_the_whole(two):
    before = stored(two)
    result = update(two, "--deselect=test_ports.py::test_ports[alpha-ports-00003]")
    assert "Not written, for only a part was measured: ports on alpha (149 of 150 items)." in said(result)
    assert stored(two)["ports", "alpha"]["items"] == before["ports", "alpha"]["items"]
    path = two.path / "base.json"
    content = path.read_text()
    result = update(two, "-k", "ports-00003")
    assert result.ret == 1
    assert "The baseline was not updated: ports on alpha: 1 of 150 items were validly measured" in said(result)
    assert path.read_text() == content


def test_entries_of_the_users_own_benchmarks_stay(two):
    (two.path / "test_speed.py").write_text("def test_speed(benchmark):\n    benchmark(sum, [1, 2])\n")
    update(two, "--slmsec-force=one more")
    (two.path / "test_speed.py").unlink()
    update(two, "-k", "ports")
    assert "test_speed.py::test_speed" in entries(two)


def test_a_baseline_that_cannot_be_written_is_red_and_says_why(two):
    (two.path / "base.json.draft").mkdir()
    result = update(two, "-k", "ports")
    assert result.ret == 1
    assert "The baseline was not written: [Errno 21]" in said(result)


# -- a run that was to judge and could not


NO_DATA = """
import pytest
from pytest_slmsec.tasks.registry import tasks

@pytest.mark.slmsec("cti-mcq")
def test_mcq(answer):
    pass
"""


def test_a_run_in_which_everything_was_skipped_is_red_with_an_exit_status_of_its_own(runs, tmp_path):
    runs.suite(150)
    update(runs)
    (runs.path / "test_ports.py").unlink()
    (runs.path / "test_mcq.py").write_text(NO_DATA)
    result = runs.run("--model=alpha", "--slmsec-baseline=base.json", f"--slmsec-data={tmp_path}")
    assert result.ret == 10
    assert gates(result) == {"skipped": 1, "errors": 1}
    assert "Nothing could be judged, which is no pass: no benchmark was measured (1 were skipped: " in said(result)
    strict = runs.run("--model=alpha", "--model=alpha-gptq4", "--slmsec-strict", f"--slmsec-data={tmp_path}")
    assert strict.ret == 10
    free = runs.run("--model=alpha", "--model=alpha-gptq4", f"--slmsec-data={tmp_path}")
    assert free.ret == 10  # nothing was measured
    assert gates(free) == {"skipped": 2}


def test_a_strict_run_without_a_base_is_red(runs):
    runs.suite(20)
    result = runs.run("--model=alpha", "--slmsec-strict")
    assert result.ret == 10
    assert "there is no base; name one with --model=BASE beside --model=BASE-QUANT" in said(result)
    assert runs.run("--model=alpha", "--slmsec-strict", "--slmsec-no-gate").ret == 0
    assert runs.run("--model=alpha", "--slmsec-strict", "--collect-only").ret == 0


def test_a_run_of_parts_is_red_where_a_verdict_was_asked_for(two):
    result = two.run("--model=alpha", "--slmsec-baseline=base.json", "-k", "00003")
    assert result.ret == 10
    assert "no benchmark was measured whole on both sides" in said(result)
    assert two.run("--model=alpha", "--slmsec-baseline=base.json", "-k", "nothing").ret == 5


def test_the_same_with_xdist(two):
    result = two.run("--model=alpha", "--slmsec-baseline=base.json", "-k", "00003", "-n2", subprocess=True)
    assert result.ret == 10
