"""A gate as a test of its own: @pytest.mark.slmsec_gate("ports", ...) with the fixture `slm_pair`."""

import xml.etree.ElementTree as ElementTree

import pytest
from gate_runs import BOTH, gates, pair


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def test_a_candidate_that_is_not_worse_passes(runs, toy):
    pair(runs, 150)
    result = runs.run(*BOTH, "-vv")
    assert (result.ret, gates(result)) == (0, {"gates": 1})
    result.stdout.fnmatch_lines(["test_pair.py::test_not_worse?alpha-gptq4-ports? GATE PASSED*"])
    assert toy.loads == ["alpha", "alpha-gptq4"]
    assert len(toy.asked) == 150
    assert set(toy.asked.values()) == {2}


def test_one_that_is_worse_fails_with_the_table_and_the_sentences(runs):
    pair(runs, 300)
    runs.loses(7)
    result = runs.run(*BOTH, "--junitxml=out.xml")
    assert (result.ret, gates(result)) == (1, {"failed": 1})
    assert "On ports (accuracy) the candidate lost 32 answers and won back 0 of 300." in said(result)
    (failure,) = ElementTree.parse(runs.path / "out.xml").findall(".//failure")
    assert "SUITE: FAIL" in failure.get("message")
    properties = ElementTree.parse(runs.path / "out.xml").findall(".//property")
    found = {one.get("name"): one.get("value") for one in properties}
    assert (found["verdict"], found["benchmark"], found["limit"]) == ("FAIL", "ports", "0.02")
    assert (found["candidate"], found["base"]) == ("alpha-gptq4", "alpha")


@pytest.mark.parametrize(
    ("policy", "code", "outcomes"),
    [("warn", 0, {"inconclusive": 1}), ("fail", 1, {"failed": 1}), ("skip", 0, {"skipped": 1})],
)
def test_what_undecided_means_is_the_policy_of_the_configuration(runs, policy, code, outcomes):
    pair(runs, 60)
    (runs.path / "pyproject.toml").write_text(f'[tool.slmsec.gate]\non_inconclusive = "{policy}"\n')
    result = runs.run(*BOTH)
    assert (result.ret, gates(result)) == (code, outcomes)
    assert "FeasibilityWarning: ports has 60 items" in said(result)


def test_the_margin_is_that_of_the_marker(runs):
    pair(runs, 300, keys="max_drop='30pt', required=True, reason='a smaller model'")
    runs.loses(7)
    assert runs.run(*BOTH).ret == 0


def test_against_a_stored_base(runs):
    pair(runs, 300, alone=False)
    runs.run("--model=alpha", "--benchmark-json=base.json", "-k", "test_ports")
    pair(runs, 300)
    runs.loses(7)
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert (result.ret, gates(result)) == (1, {"failed": 1})
    assert "base: alpha (" in said(result)
    result = runs.run("--model=alpha-gptq8", "--slmsec-baseline=base.json")
    assert (result.ret, gates(result)) == (0, {"gates": 1})


def test_a_base_that_was_asked_something_else_is_an_error(runs):
    pair(runs, 150, alone=False)
    runs.run("--model=alpha", "--benchmark-json=base.json", "-k", "test_ports")
    pair(runs, 150)
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-max-new-tokens=9")
    assert (result.ret, gates(result)) == (1, {"errors": 1})
    assert "decoding differs in max_new_tokens (8 and 9)" in said(result)


def test_answers_that_the_run_has_already_are_not_asked_again(runs, toy):
    pair(runs, 150, alone=False)
    result = runs.run(*BOTH)
    assert result.ret == 0
    assert set(toy.asked.values()) == {2}


def test_the_same_with_xdist(runs):
    pair(runs, 300)
    runs.loses(7)
    result = runs.run(*BOTH, "-n2", subprocess=True)
    assert (result.ret, gates(result)) == (1, {"failed": 1})
    runs.loses(0)
    assert gates(runs.run(*BOTH, "-n2", subprocess=True)) == {"gates": 1}


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((), "no --model given"),
        (("--model=alpha",), "no base to judge against"),
        ((*BOTH, "--slmsec-no-gate"), "--slmsec-no-gate judges nothing"),
    ],
)
def test_without_anything_to_judge_it_is_skipped(runs, toy, args, reason):
    pair(runs, 20)
    result = runs.run(*args, "-rs")
    assert result.ret == 0
    assert result.parseoutcomes() == {"skipped": 1}
    assert reason in said(result)
    assert toy.notes() == []


def test_a_test_that_never_judges_fails(runs):
    pair(runs, 20, body="pass")
    result = runs.run(*BOTH)
    assert result.ret == 1
    assert "never called slm_pair.run(): nothing was judged" in said(result)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("max_dorp='2pt'", "unknown key 'max_dorp'; did you mean 'max_drop'?"),
        ("max_increase=0.1", "max_increase does not fit ports"),
    ],
)
def test_a_mistake_in_the_marker_is_an_error_at_collection(runs, toy, keys, message):
    pair(runs, 20, keys=keys)
    result = runs.run(*BOTH)
    assert result.ret != 0
    assert message in said(result)
    assert toy.notes() == []


def test_a_benchmark_must_be_named(runs):
    (runs.path / "test_pair.py").write_text("def test_not_worse(slm_pair):\n    slm_pair.run()\n")
    result = runs.run(*BOTH)
    assert result.ret != 0
    assert "takes the fixture slm_pair: name its benchmark, as in @pytest.mark.slmsec_gate('cti-rcm'" in said(result)


def test_a_run_of_nothing_but_pairs_has_judged(runs):
    pair(runs, 150)
    assert runs.run(*BOTH, "--slmsec-strict").ret == 0
    assert runs.run(*BOTH, "--setup-only").ret == 0
