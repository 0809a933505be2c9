"""A sample that does not decide is extended within the same run: base and candidate are asked the other items."""

import json

import pytest
from gate_runs import BOTH, gates


def configure(runs, text='on_inconclusive = "extend"'):
    (runs.path / "pyproject.toml").write_text(f"[tool.slmsec.gate]\n{text}\n")


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def judgement(runs):
    return json.loads((runs.path / "gate.json").read_text())["judgements"][0]


def test_a_sample_that_decides_is_all_that_is_asked(runs, toy):
    runs.suite(400)
    runs.loses(3)
    configure(runs)
    result = runs.run(*BOTH, "--slmsec-limit=150", "--slmsec-json=gate.json", "-rs")
    assert result.ret == 1
    assert gates(result)["skipped"] == 2 * 250
    assert sum(toy.asked.values()) == 2 * 150
    assert toy.loads == ["alpha", "alpha-gptq4"]
    assert "the gate decided after 150 of 400 items: FAIL; 250 items saved" in said(result)
    assert "ports, 150/400 items (stopped early)" in result.stdout.str()
    seen = judgement(runs)["early_stop"]["ports"]
    assert (seen["method"], seen["looks"], seen["n"]) == ("two-stage", [150, 400], 150)


def test_a_sample_that_does_not_decide_is_extended(runs, toy):
    runs.suite(400)
    configure(runs)
    result = runs.run(*BOTH, "--slmsec-limit=150", "--slmsec-json=gate.json")
    assert (result.ret, gates(result)) == (0, {"gates": 5})
    assert sum(toy.asked.values()) == 2 * 400
    assert toy.loads == ["alpha", "alpha-gptq4", "alpha", "alpha-gptq4"]
    assert "ports: a sample of 150 items did not decide, so all 400 were asked." in said(result)
    found = judgement(runs)["gates"][0]
    assert (found["method"], found["n"], found["details"]["look"]) == ("two-stage", 400, 2)
    assert found["details"]["boundary"] > 1.6449  # the first look has spent its part


def test_each_benchmark_is_extended_for_itself(runs, toy):
    runs.suite(300, "ports")
    runs.suite(150, "hashes")
    configure(runs)
    result = runs.run(*BOTH, "--slmsec-limit=150", "--slmsec-json=gate.json")
    assert result.ret == 0
    assert sum(toy.asked.values()) == 2 * (300 + 150)
    assert list(judgement(runs)["early_stop"]) == ["ports"]


def test_the_base_is_extended_for_the_candidate_that_needs_it(runs, toy):
    runs.suite(400)
    runs.loses(3)
    configure(runs)
    result = runs.run(*BOTH, "--model=alpha-gptq8", "--slmsec-limit=150")
    assert gates(result)["skipped"] == 250
    assert sum(toy.asked.values()) == 400 + 150 + 400
    text = said(result)
    assert "slmsec-gate::suite[alpha-gptq4]" in text
    assert "slmsec-gate::suite[alpha-gptq8]" not in text


def test_what_is_still_undecided_is_said_and_nothing_is_left_to_extend(runs):
    runs.suite(100)
    configure(runs)
    result = runs.run(*BOTH, "--slmsec-limit=50")
    assert (result.ret, gates(result)["inconclusive"]) == (0, 3)
    assert "all 100 items have been judged: there is nothing left to extend" in said(result)
    result = runs.run(*BOTH, "--slmsec-limit=50", "--slmsec-strict")
    assert result.ret == 1


def test_without_a_sample_there_is_nothing_to_extend(runs, toy):
    runs.suite(100)
    configure(runs)
    result = runs.run(*BOTH)
    assert "all 100 items have been judged: there is nothing left to extend" in said(result)
    assert sum(toy.asked.values()) == 200


def test_a_sample_of_models_without_an_opponent_stays_a_sample(runs, toy):
    runs.suite(400)
    configure(runs)
    result = runs.run("--model=beta", *BOTH, "--slmsec-limit=150")
    assert "ports@150" in result.stdout.str()
    assert sum(toy.asked.values()) == 150 + 800


def test_without_the_key_a_sample_stays_a_sample(runs, toy):
    runs.suite(400)
    result = runs.run(*BOTH, "--slmsec-limit=150")
    assert sum(toy.asked.values()) == 300
    assert "ports@150, 150 items" in result.stdout.str()


# -- a stored base


def test_a_stored_base_that_has_all_items(runs, toy):
    runs.suite(400)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    configure(runs)
    toy.log.unlink()
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-limit=150")
    assert (result.ret, gates(result)) == (0, {"gates": 5})
    assert sum(toy.asked.values()) == 400
    runs.loses(3)
    toy.log.unlink()
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-limit=150")
    assert (result.ret, sum(toy.asked.values())) == (1, 150)


def test_a_stored_base_that_has_the_sample_only(runs, toy):
    runs.suite(400)
    runs.run("--model=alpha", "--benchmark-json=base.json", "--slmsec-limit=100")
    configure(runs)
    toy.log.unlink()
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-limit=100")
    assert sum(toy.asked.values()) == 100
    assert 'ports@100: on_inconclusive = "extend", but the base was measured on these 100 items only' in said(result)


# -- where it cannot work


def test_several_processes_cannot_extend(runs, toy):
    runs.suite(20)
    configure(runs)
    result = runs.run(*BOTH, "--slmsec-limit=10", "-n2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "they need one process; leave out -n" in said(result)
    assert runs.run(*BOTH, "-n2", subprocess=True).ret == 0  # without a sample there is nothing to extend


def test_two_rules_about_when_to_stop_are_one_too_many(runs, toy):
    runs.suite(20)
    configure(runs, 'on_inconclusive = "extend"\nearly_stop = "obf"')
    result = runs.run(*BOTH, "--slmsec-limit=10")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "both say when ports needs no more items" in said(result)
    assert toy.loads == []
