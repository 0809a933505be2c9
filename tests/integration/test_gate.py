"""The gate in a pytest run: every verdict as a test result, with a base in the same run or a stored one."""

import json
import xml.etree.ElementTree as ElementTree

import pytest
from gate_runs import BOTH, SUITE, gates


def test_identical_answers_pass_from_133_items_on(runs):
    runs.suite(133)
    result = runs.run(*BOTH)
    assert (result.ret, gates(result)) == (0, {"gates": 5})
    assert "SUITE: PASS" in result.stdout.str()


def test_a_smaller_benchmark_is_inconclusive_and_not_red(runs):
    runs.suite(132)
    result = runs.run(*BOTH, "-vv", "--junitxml=out.xml")
    assert (result.ret, gates(result)) == (0, {"gates": 2, "inconclusive": 3})
    result.stdout.fnmatch_lines(["slmsec-gate::accuracy?alpha-gptq4-ports? GATE INCONCLUSIVE*"])
    assert "132 items are below the floor of 133" in " ".join(result.stdout.str().split())
    cases = ElementTree.parse(runs.path / "out.xml").findall(".//testcase[@classname='slmsec-gate']")
    junit = {case.get("name"): {one.get("name"): one.get("value") for one in case.iter("property")} for case in cases}
    assert len(junit) == 5
    found = junit["accuracy[alpha-gptq4-ports]"]
    assert {key: found[key] for key in ("verdict", "benchmark", "candidate", "base", "n", "drop", "limit")} == {
        "verdict": "INCONCLUSIVE", "benchmark": "ports", "candidate": "alpha-gptq4", "base": "alpha", "n": "132",
        "drop": "0.0", "limit": "0.02",
    }  # fmt: skip
    assert float(found["upper"]) > 0.02
    assert "132 items are below the floor" in found["says"]
    assert junit["suite[alpha-gptq4]"]["verdict"] == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("args", "config", "code", "expected"),
    [
        (("--slmsec-strict",), "", 1, {"gates": 2, "inconclusive": 2, "failed": 1}),
        (("--slmsec-preset=release",), "", 1, {"gates": 2, "inconclusive": 2, "failed": 1}),
        ((), 'on_inconclusive = "skip"', 0, {"gates": 2, "skipped": 3}),
        (("--slmsec-preset=pr",), "", 0, {"gates": 5}),
    ],
)
def test_what_undecided_means_is_a_policy(runs, args, config, code, expected):
    runs.suite(132)
    (runs.path / "pyproject.toml").write_text(f"[tool.slmsec.gate]\n{config}\n")
    result = runs.run(*BOTH, *args)
    assert (result.ret, gates(result)) == (code, expected)


def test_a_candidate_that_loses_answers_fails_with_numbers_and_items(runs):
    runs.suite(300)
    runs.loses(7)
    args = ("--junitxml=out.xml", "--slmsec-json=gate.json", "--slmsec-flips=flips.jsonl")
    runs.monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(runs.path / "summary.md"))
    result = runs.run(*BOTH, *args)
    assert result.ret == 1
    assert gates(result) == {"failed": 2, "gates": 3}
    said = " ".join(result.stdout.str().split())
    assert "On ports (accuracy) the candidate lost 32 answers and won back 0 of 300." in said
    assert "Look at ports-00007, ports-00014, ports-00021, ports-00035, ports-00042." in said
    assert "GATE FAILED slmsec-gate::suite[alpha-gptq4]" in said
    failures = ElementTree.parse(runs.path / "out.xml").findall(".//testcase[@classname='slmsec-gate']/failure")
    assert "worse by at least" in failures[0].get("message")
    (judgement,) = json.loads((runs.path / "gate.json").read_text())["judgements"]
    assert judgement["verdict"] == "FAIL"
    assert judgement["gates"][0]["details"]["lost"] == 32
    flips = [json.loads(line) for line in (runs.path / "flips.jsonl").read_text().splitlines()]
    assert (len(flips), flips[0]["item"], flips[0]["candidate_text"]) == (32, "ports-00007", "no")
    summary = (runs.path / "summary.md").read_text()
    assert "## Gate: FAIL" in summary
    assert "## What each model costs" in summary
    assert sum(line.startswith("| alpha") for line in summary.splitlines()) == 2


def test_a_failed_gate_is_not_what_lf_repeats(runs):
    runs.suite(300)
    runs.loses(7)
    runs.run(*BOTH)
    cache = runs.path / ".pytest_cache" / "v" / "cache" / "lastfailed"
    assert not cache.exists() or json.loads(cache.read_text()) == {}


def test_the_same_with_xdist(runs):
    runs.suite(300)
    runs.loses(7)
    result = runs.run(*BOTH, "-n2", subprocess=True)
    assert (result.ret, gates(result)) == (1, {"failed": 2, "gates": 3})
    assert "On ports (accuracy) the candidate lost 32 answers" in " ".join(result.stdout.str().split())


def test_several_benchmarks_are_one_suite(runs):
    runs.suite(300, "ports")
    runs.suite(300, "hashes")
    runs.suite(20, "small")
    result = runs.run(*BOTH)
    assert (result.ret, gates(result)) == (0, {"gates": 9, "inconclusive": 2})
    assert "SUITE: PASS" in result.stdout.str()


def test_a_part_of_a_benchmark_is_not_judged(runs):
    runs.suite(150)
    runs.suite(150, "hashes")
    result = runs.run(*BOTH, "-rs", "--deselect=test_ports.py::test_ports[alpha-gptq4-ports-00003]")
    assert (result.ret, gates(result)) == (0, {"deselected": 1, "skipped": 2, "gates": 4})
    said = " ".join(result.stdout.str().split())
    assert "ports on alpha-gptq4: 149 of 150 items were validly measured; a part is never judged." in said
    assert "some benchmarks are incomplete, so the suite cannot be judged" in said


def test_a_stopped_run_is_not_judged(runs):
    runs.suite(150)
    (runs.path / "test_zz.py").write_text("def test_fails():\n    assert False\n")
    assert "slmsec-gate" not in runs.run(*BOTH, "-x", "--slmsec-wrong=fail").stdout.str()


@pytest.mark.parametrize(
    "args",
    [
        ("--model=alpha",),
        ("--model=alpha", "--model=beta-gptq4"),
        (*BOTH, "--slmsec-no-gate"),
        (*BOTH, "--collect-only"),
    ],
)
def test_without_a_base_there_is_no_gate(runs, args):
    runs.suite(20)
    result = runs.run(*args)
    assert result.ret == 0
    assert "slmsec-gate" not in result.stdout.str()
    assert "SUITE" not in result.stdout.str()


def test_each_candidate_has_verdicts_of_its_own(runs):
    runs.suite(300)
    runs.loses(7)
    result = runs.run(*BOTH, "--model=alpha-gptq8")
    assert gates(result) == {"failed": 2, "gates": 8}
    said = result.stdout.str()
    assert "GATE FAILED slmsec-gate::suite[alpha-gptq4]" in said
    assert "slmsec-gate::suite[alpha-gptq8]" not in said


def ours(result):
    """Lines above what pytest says at the end: its list of failures, and the closing line."""
    lines = [line for line in result.outlines if line]
    return lines[: next(n for n, line in enumerate(lines) if " short test summary " in line)]


def test_the_verdict_is_the_last_line_of_the_plugin(runs):
    runs.suite(300)
    runs.loses(1)
    result = runs.run(*BOTH, "--slmsec-report=page.html", "--color=yes")
    result.stdout.re_match_lines(["slmsec report: page.html.*", "=+ slmsec sentinels =+", "=+ slmsec gate =+"])
    assert ours(result)[-1] == "\x1b[1m\x1b[31mSUITE: ERROR (alpha-gptq4 against alpha)\x1b[0m"


def test_several_verdicts_stand_together_at_the_end(runs):
    runs.suite(300)
    runs.loses(7)
    lines = ours(runs.run(*BOTH, "--model=alpha-gptq8"))
    verdicts = ["SUITE: FAIL (alpha-gptq4 against alpha)", "SUITE: PASS (alpha-gptq8 against alpha)"]
    assert lines[-2:] == verdicts
    assert [line for line in lines if line in verdicts] == verdicts * 2


def test_the_configuration_can_name_the_base(runs):
    runs.suite(150)
    (runs.path / "pyproject.toml").write_text('[tool.slmsec.gate]\nbaseline = "live:alpha"\n')
    assert "candidate: beta (this run)" in runs.run("--model=beta", "--model=alpha").stdout.str()
    result = runs.run("--model=beta")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "this run has no --model=alpha" in result.stderr.str()


# -- a stored base


def store(runs, *args):
    return runs.run("--model=alpha", "--benchmark-json=base.json", *args)


def test_a_stored_base(runs):
    runs.suite(300)
    store(runs)
    runs.loses(7)
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert (result.ret, gates(result)) == (1, {"failed": 2, "gates": 3})
    assert "base: alpha (" in " ".join(result.stdout.str().split())  # the file's path may fill the line
    assert runs.run("--model=alpha", "--slmsec-baseline=base.json").ret == 0


def test_a_stored_base_by_its_number(runs):
    runs.suite(150)
    runs.run("--model=alpha", "--benchmark-autosave")
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=0001")
    assert (result.ret, gates(result)) == (0, {"gates": 5})


def test_a_base_that_was_asked_something_else_is_an_error(runs):
    runs.suite(150)
    store(runs)
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-max-new-tokens=9", "-rE")
    assert result.ret == 1
    assert gates(result) == {"errors": 2}
    assert "decoding differs in max_new_tokens (8 and 9)" in " ".join(result.stdout.str().split())
    runs.suite(150, gold="no")
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert "150 of the base's 150 items are missing or differ in prompt or gold" in " ".join(
        result.stdout.str().split()
    )


def test_a_base_of_another_benchmark(runs):
    runs.suite(150)
    store(runs)
    (runs.path / "test_ports.py").unlink()
    runs.suite(150, "hashes")
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert (result.ret, gates(result)) == (1, {"errors": 1})
    assert "There is nothing to compare: the base (" in " ".join(result.stdout.str().split())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[: len(text) // 2], "is no valid JSON, or cut off"),
        (lambda text: text.replace('"correct_bits": "1', '"correct_bits": "0'), "was changed after it was written"),
        (lambda text: text.replace('"slmsec": {\n', '"older": {\n'), "it was written by an older format"),
    ],
)
def test_a_damaged_base_is_a_usage_error(runs, damage, message):
    runs.suite(20)
    store(runs)
    path = runs.path / "base.json"
    path.write_text(damage(path.read_text()))
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


# -- accepting a new baseline


def update(runs, *args):
    return runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-update-baseline", *args)


def stored_accuracy(runs):
    entries = json.loads((runs.path / "base.json").read_text())["benchmarks"]
    return next(e["extra_info"]["accuracy"] for e in entries if e["params"]["metric"] == "latency")


def test_the_first_baseline_is_made(runs):
    runs.suite(150)
    result = update(runs)
    assert (result.ret, gates(result)) == (0, {"gates": 1})
    assert json.loads((runs.path / "base.json").read_text())["slmsec"]["accepted"]["reason"] is None
    assert update(runs).ret == 0


def test_a_worse_baseline_needs_a_reason_that_is_stored(runs):
    runs.suite(300)
    update(runs)
    runs.loses(7)
    result = update(runs)
    assert result.ret == 1
    said = " ".join(result.stdout.str().split())
    assert "The baseline was not updated: alpha-gptq4 is FAIL." in said
    assert stored_accuracy(runs) == 0.75
    update(runs, "--slmsec-force=smaller is worth it")
    assert stored_accuracy(runs) < 0.7
    accepted = json.loads((runs.path / "base.json").read_text())["slmsec"]["accepted"]
    assert (accepted["reason"], accepted["verdicts"]) == ("smaller is worth it", {"alpha-gptq4": "FAIL"})
    assert gates(update(runs)) == {"gates": 6}  # it is the base now


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--slmsec-update-baseline",), "--slmsec-update-baseline needs a file to write"),
        (("--slmsec-update-baseline", "--slmsec-baseline=0001"), "--slmsec-update-baseline needs a file to write"),
        (("--slmsec-force=why",), "--slmsec-force says why a baseline is updated"),
        (("--slmsec-update-baseline", "--slmsec-baseline=x.json", "--benchmark-disable"), "which is switched off"),
        (("--slmsec-baseline=x.json",), "There is no file x.json"),
        (("--slmsec-update-baseline", "--slmsec-baseline=test_ports.py/x.json"), "x.json cannot be written"),
    ],
)
def test_options_that_do_not_fit(runs, args, message):
    runs.suite(20)
    result = runs.run("--model=alpha", *args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


# -- margins by marker and by configuration


def test_a_marker_sets_the_margin_of_its_benchmark(runs):
    runs.suite(300, mark="@pytest.mark.slmsec_gate(max_drop='30pt', reason='a smaller model')")
    runs.loses(7)
    assert runs.run(*BOTH).ret == 0
    assert runs.run(*BOTH, "-n2", subprocess=True).ret == 0


def test_a_marker_with_an_unknown_key_stops_before_anything_runs(runs):
    runs.suite(20, mark="@pytest.mark.slmsec_gate(max_dorp='3pt')")
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stdout.str() + result.stderr.str()
    assert (
        "test_ports.py::test_ports @pytest.mark.slmsec_gate: unknown key 'max_dorp'; did you mean 'max_drop'?" in text
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('presset = "pr"', "unknown key 'presset'; did you mean 'preset'?"),
        ('[tool.slmsec.gate.ports]\nmax_drop = "120pt"', "must lie strictly between 0 and 100"),
    ],
)
def test_a_wrong_configuration_stops_before_anything_runs(runs, config, message):
    runs.suite(20)
    (runs.path / "pyproject.toml").write_text(f"[tool.slmsec.gate]\n{config}\n")
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str()


def test_a_table_about_no_benchmark_of_the_run_is_an_error(runs):
    runs.suite(20)
    (runs.path / "pyproject.toml").write_text('[tool.slmsec.gate.prots]\nmax_drop = "3pt"\n')
    result = runs.run(*BOTH)
    assert result.ret != 0
    assert "there is no benchmark 'prots'; did you mean 'ports'?" in result.stdout.str() + result.stderr.str()


# -- speed in turns


@pytest.mark.parametrize(
    ("slower", "code", "expected"), [("1.0", 0, {"gates": 6}), ("1.2", 1, {"failed": 2, "gates": 4})]
)
def test_base_and_candidate_take_turns(runs, toy, slower, code, expected):
    runs.suite(150)
    runs.monkeypatch.setenv("SLOWER", slower)
    (runs.path / "pyproject.toml").write_text("[tool.slmsec.gate.throughput]\nrounds = 10\n")
    result = runs.run(*BOTH)
    assert (result.ret, gates(result)) == (code, expected)
    assert toy.loads == ["alpha", "alpha-gptq4", "alpha", "alpha-gptq4"]
    assert len([note for note in toy.notes() if "close" in note]) == 4
    turns = [note["ask"] for note in toy.notes() if "ask" in note][-80:]
    assert turns[0] == ["ports-00001", "ports-00010", "ports-00019", "ports-00028", "ports-00037", "ports-00046",
                        "ports-00055", "ports-00064"]  # fmt: skip
    if slower == "1.2":
        assert "-16.7 %" in result.stdout.str()


def test_a_speed_that_cannot_be_measured_is_an_error(runs):
    runs.suite(20)
    (runs.path / "pyproject.toml").write_text("[tool.slmsec.gate.throughput]\nrounds = 10\n")
    text = (runs.path / "conftest.py").read_text()
    (runs.path / "conftest.py").write_text(
        text
        + """
class Once(Lossy):
    loaded = set()

    def __init__(self, spec):
        from pytest_slmsec.core.errors import ModelError
        if spec.name in self.loaded:
            raise ModelError(f"{spec.name}: there is no memory for a second one")
        self.loaded.add(spec.name)
        super().__init__(spec)

def pytest_slmsec_make_engine(config, spec, settings):
    return Once(spec)
"""
    )
    result = runs.run(*BOTH)
    assert result.ret == 1
    assert "alpha: there is no memory for a second one" in " ".join(result.stdout.str().split())


def test_an_engine_without_logits_has_no_distance(runs):
    runs.suite(150)
    (runs.path / "pyproject.toml").write_text("[tool.slmsec.gate.fidelity]\nitems = 30\n")
    result = runs.run(*BOTH)
    assert (result.ret, gates(result)) == (1, {"errors": 2, "gates": 4})
    assert "The distance of free 1 cannot be measured: it gives no logits." in " ".join(result.stdout.str().split())


def test_turns_are_taken_in_one_process(runs):
    runs.suite(20)
    (runs.path / "pyproject.toml").write_text("[tool.slmsec.gate.throughput]\nrounds = 10\n")
    result = runs.run(*BOTH, "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "side by side in one process" in result.stderr.str()


# -- before anything runs


def test_what_cannot_be_shown_is_said_at_collection(runs):
    runs.suite(60)
    result = runs.pytester.runpytest_inprocess(*BOTH)
    assert "slmsec gate: 1 of 1 benchmarks can FAIL but not PASS, too few items" in result.stdout.str()


def test_a_plan_runs_nothing(runs, toy):
    runs.suite(60)
    result = runs.run("--model=alpha", "--slmsec-plan")
    assert result.ret == 0
    assert "ports         60   2 pt     4.3 pt" in result.stdout.str()
    assert toy.notes() == []
    assert runs.run("--model=alpha", "--slmsec-plan", "-n2").ret == pytest.ExitCode.USAGE_ERROR


# -- hostile names


def test_hostile_names_leave_the_reports_intact(runs):
    text = SUITE.replace("SIZE", "150").replace("GOLD", "yes").replace("MARK", "")
    text = text.replace('Task("NAME"', 'Task("a]::\\x1b[31m|b"').replace("NAME", "odd")
    (runs.path / "test_odd.py").write_text(text)
    result = runs.run(*BOTH, "--junitxml=out.xml", "--slmsec-json=gate.json", subprocess=True)
    assert (result.ret, gates(result)) == (0, {"gates": 5})
    assert "\x1b" not in result.stdout.str().partition("slmsec gate")[2]
    ElementTree.parse(runs.path / "out.xml")
    assert (
        json.loads((runs.path / "gate.json").read_text())["judgements"][0]["gates"][0]["benchmark"] == "a]::\x1b[31m|b"
    )
