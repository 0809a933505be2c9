"""A benchmark stops as soon as the gate is decided: what is asked, skipped, shown and stored."""

import json

import pytest
from gate_runs import BOTH, gates


def configure(runs, text):
    (runs.path / "pyproject.toml").write_text(f"[tool.slmsec.gate]\n{text}\n")


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def judgement(runs):
    return json.loads((runs.path / "gate.json").read_text())["judgements"][0]


def gate(runs, what):
    return next(found for found in judgement(runs)["gates"] if found["what"] == what)


def test_an_unchanged_candidate_is_asked_part_of_the_items(runs, toy):
    runs.suite(500)
    configure(runs, 'early_stop = "obf"')
    result = runs.run(*BOTH, "--slmsec-json=gate.json", "-rs")
    assert (result.ret, gates(result)) == (0, {"skipped": 200, "gates": 5})
    assert toy.asked["ports-00001"] in (1, 2)
    assert sum(toy.asked.values()) == 500 + 300
    assert "SKIPPED [200]" in result.stdout.str()
    assert "the gate decided after 300 of 500 items: PASS; 200 items saved" in said(result)
    assert "ports, 300/500 items (stopped early)" in result.stdout.str()
    assert "ports: the gate needed only 300 of 500 items; 200 items saved." in said(result)
    seen = judgement(runs)["early_stop"]["ports"]
    assert (seen["method"], seen["n"], seen["n_total"], seen["saved"]) == ("obf", 300, 500, 200)
    assert seen["looks"] == [100, 200, 300, 400, 500]
    assert sorted(seen["order"]) == list(range(500))
    assert (gate(runs, "accuracy")["n"], gate(runs, "accuracy")["details"]["look"]) == (300, 3)


def test_a_bad_candidate_is_found_out_sooner(runs, toy):
    runs.suite(500)
    runs.loses(7)
    configure(runs, 'early_stop = "obf"')
    result = runs.run(*BOTH, "--slmsec-json=gate.json")
    assert result.ret == 1
    assert gates(result) == {"skipped": 300, "failed": 2, "gates": 1, "inconclusive": 2}
    assert sum(toy.asked.values()) == 500 + 200
    assert judgement(runs)["verdict"] == "FAIL"


def test_without_the_key_everything_is_asked(runs, toy):
    runs.suite(300)
    assert gates(runs.run(*BOTH)) == {"gates": 5}
    assert sum(toy.asked.values()) == 600


def test_the_base_comes_first_however_the_models_are_named(runs, toy):
    runs.suite(500)
    configure(runs, 'early_stop = "obf"')
    result = runs.run(*reversed(BOTH))
    assert toy.loads == ["alpha", "alpha-gptq4"]
    assert gates(result)["skipped"] == 200


def test_a_marker_turns_it_on_for_its_benchmark(runs, toy):
    runs.suite(500, mark='@pytest.mark.slmsec_gate(early_stop="anytime")')
    runs.suite(200, "hashes")
    result = runs.run(*BOTH, "--slmsec-window=100", "--slmsec-json=gate.json")
    assert result.ret == 0
    assert list(judgement(runs)["early_stop"]) == ["ports"]
    asked = judgement(runs)["early_stop"]["ports"]["n"]
    assert asked % 100 == 0
    assert sum(toy.asked.values()) == 500 + asked + 400


@pytest.mark.parametrize("method", ["obf", "hybrid", "anytime"])
def test_a_stored_base(runs, toy, method):
    runs.suite(500)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    runs.loses(7)
    configure(runs, f'early_stop = "{method}"')
    toy.log.unlink()
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-json=gate.json")
    n = judgement(runs)["early_stop"]["ports"]["n"]
    assert (result.ret, gates(result)["skipped"]) == (1, 500 - n)
    assert sum(toy.asked.values()) == n < 500


def test_the_verdict_equals_its_recomputation_from_the_stored_prefix(runs):
    from pytest_slmsec.cli.main import main

    runs.suite(500)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    runs.loses(9)
    configure(runs, 'early_stop = "obf"')
    runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-json=gate.json",
             "--benchmark-json=candidate.json")  # fmt: skip
    live = judgement(runs)
    content = json.loads((runs.path / "candidate.json").read_text())
    stored = content["slmsec"]
    assert stored["groups"] == []
    assert {entry["params"]["benchmark"] for entry in content["benchmarks"]} == {"ports@200of500"}
    assert len(stored["stopped"][0]["items"]["item"]) == live["early_stop"]["ports"]["n"] < 500
    assert main(["compare", "base.json", "candidate.json", "--json=again.json"]) == 1
    again = json.loads((runs.path / "again.json").read_text())["judgements"][0]
    assert again["verdict"] == live["verdict"] == "FAIL"
    assert again["early_stop"] == live["early_stop"]
    numbers = [[(g["gate"], g["verdict"], g["n"], g["lower"], g["upper"], g["p_fail"]) for g in found["gates"]
                if g["benchmark"]] for found in (live, again)]  # fmt: skip
    assert numbers[0] == numbers[1]


def test_no_look_before_the_last_one_would_have_decided(runs):
    """The prefix is the shortest one at a look that decides: the same data, cut at every earlier look, stay open."""
    from pytest_slmsec.gates.decision.combine import early_verdict
    from pytest_slmsec.gates.decision.score_gates import score_gates
    from pytest_slmsec.gates.policy.config import GateConfig
    from pytest_slmsec.gates.records.comparability import pair, restricted
    from pytest_slmsec.gates.records.saved_runs import read_runs

    runs.suite(500)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    runs.loses(9)
    configure(runs, 'early_stop = "obf"')
    runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--benchmark-json=candidate.json")
    (base,), (candidate,) = read_runs(runs.path / "base.json"), read_runs(runs.path / "candidate.json")
    verdicts = []
    for look in (n for n in (100, 200, 300, 400, 500) if n <= candidate.n):
        part = candidate.taken(range(look))
        verdicts.append(early_verdict(score_gates(pair(restricted(base, part), part), GateConfig()), 1))
    assert [verdict and verdict.value for verdict in verdicts] == [None] * (len(verdicts) - 1) + ["FAIL"]


def test_nothing_is_decided_while_an_item_could_not_be_measured(runs, toy):
    runs.suite(500)
    path = runs.path / "test_ports.py"
    path.write_text(path.read_text().replace("say: {", "{'unanswerable' if n == 250 else ''} say: {"))
    configure(runs, 'early_stop = "obf"')
    result = runs.run(*BOTH, "-rs")
    assert sum(toy.asked.values()) == 1000
    assert "a part is never judged" in said(result)


def test_a_part_of_the_items_is_run_as_usual(runs, toy):
    runs.suite(500)
    configure(runs, 'early_stop = "obf"')
    runs.run(*BOTH, "-k", "0001")
    assert sum(toy.asked.values()) == 2 * 11


def test_a_resumed_run_stops_at_the_same_place(runs, toy):
    runs.suite(500)
    configure(runs, 'early_stop = "obf"')
    runs.run(*BOTH)
    toy.log.unlink()
    result = runs.run(*BOTH, "--slmsec-resume")
    assert gates(result) == {"skipped": 200, "gates": 5}
    assert toy.asked == {}


def test_exactly_these_items_are_decided_without_replacement(runs, toy):
    runs.suite(500)
    configure(runs, 'early_stop = "anytime"\nscope = "benchmark"')
    result = runs.run(*BOTH, "--slmsec-window=50", "--slmsec-json=gate.json")
    assert result.ret == 0
    found = gate(runs, "accuracy")
    assert (found["method"], found["verdict"]) == ("without-replacement", "PASS")
    assert found["n"] % 50 == 0
    assert found["n"] < 300


def test_a_baseline_is_never_made_of_a_part(runs):
    runs.suite(500)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    configure(runs, 'early_stop = "obf"')
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--slmsec-update-baseline")
    assert result.ret == 1
    assert "The baseline was not updated: ports on alpha-gptq4 stopped early" in said(result)


def test_a_run_that_stopped_early_is_no_base(runs):
    runs.suite(500)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    configure(runs, 'early_stop = "obf"')
    runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", "--benchmark-json=part.json")
    configure(runs, 'early_stop = "off"')
    result = runs.run("--model=alpha-gptq4", "--slmsec-baseline=part.json")
    assert result.ret == 1
    assert "ports on alpha-gptq4 stopped early, after 300 of 500 items, and lacks 200" in said(result)


# -- where it cannot work


@pytest.mark.parametrize("mark", ["", '@pytest.mark.slmsec_gate(early_stop="obf")'])
def test_several_processes_cannot_look(runs, toy, mark):
    runs.suite(20, mark=mark)
    configure(runs, "" if mark else 'early_stop = "obf"')
    result = runs.run(*BOTH, "-n2", subprocess=True)
    assert result.ret != 0
    assert "they need one process; leave out -n" in said(result)
    assert toy.loads == []


def test_without_a_base_several_processes_may_run(runs):
    runs.suite(20)
    configure(runs, 'early_stop = "obf"')
    assert runs.run("--model=alpha", "-n2", subprocess=True).ret == 0


def test_a_score_with_values_in_between_needs_the_betting_test(runs, toy):
    runs.suite(20)
    path = runs.path / "test_ports.py"
    path.write_text(path.read_text().replace("ACCURACY", "MEAN_F1"))
    configure(runs, 'early_stop = "obf"')
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert 'ports F1: early_stop = "obf" is for right and wrong answers' in said(result)
    assert toy.loads == []


def test_items_in_clusters_are_not_independent(runs, toy):
    runs.suite(20)
    path = runs.path / "test_ports.py"
    path.write_text(path.read_text().replace('"yes") for', '"yes", meta={"cluster": n // 4}) for'))
    configure(runs, 'early_stop = "anytime"')
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert 'ports: early_stop = "anytime" takes items as independent, and these come in clusters' in said(result)


def test_an_order_that_another_plugin_changes_is_noticed(runs):
    runs.suite(20)
    configure(runs, 'early_stop = "obf"')
    conftest = runs.path / "conftest.py"
    conftest.write_text(
        conftest.read_text()
        + """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session):
    session.items.sort(key=str)
"""
    )
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ports on alpha: another plugin changes the order of the tests" in said(result)
