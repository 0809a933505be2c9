"""A pair asks no more items than its gate needs."""

import pytest
from gate_runs import BOTH, gates, pair


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


def test_a_pair_stops_early(runs, toy):
    pair(runs, 500, keys="max_drop='2pt', early_stop='obf'")
    result = runs.run(*BOTH, "-vv")
    assert (result.ret, gates(result)) == (0, {"gates": 1})
    assert sum(toy.asked.values()) == 500 + 300
    assert toy.loads == ["alpha", "alpha-gptq4"]


def test_what_it_found_is_said(runs, toy):
    pair(runs, 500, keys="early_stop='anytime'")
    runs.loses(5)
    result = runs.run(*BOTH, "--slmsec-window=100")
    asked = sum(toy.asked.values()) - 500
    assert (result.ret, asked % 100) == (1, 0)
    assert f"the gate needed only {asked} of 500 items" in said(result)


def test_in_another_process_as_well(runs, toy):
    """One worker runs the whole pair, so it can look."""
    pair(runs, 500, keys="early_stop='obf'")
    assert runs.run(*BOTH, "-n2", subprocess=True).ret == 0
    assert sum(toy.asked.values()) == 500 + 300


def test_a_stored_base(runs, toy):
    runs.suite(500)
    runs.run("--model=alpha", "--benchmark-json=base.json")
    (runs.path / "test_ports.py").unlink()
    toy.log.unlink()
    pair(runs, 500, keys="early_stop='obf'")
    assert runs.run("--model=alpha-gptq4", "--slmsec-baseline=base.json").ret == 0
    assert sum(toy.asked.values()) == 300


@pytest.mark.parametrize(("every", "code", "asked"), [(3, 1, 300), (0, 0, 800)])
def test_a_sample_is_extended_where_it_does_not_decide(runs, toy, every, code, asked):
    pair(runs, 400)
    runs.loses(every)
    (runs.path / "pyproject.toml").write_text('[tool.slmsec.gate]\non_inconclusive = "extend"\n')
    result = runs.run(*BOTH, "--slmsec-limit=150")
    assert (result.ret, sum(toy.asked.values())) == (code, asked)


def test_what_cannot_work_is_said_before_anything_runs(runs, toy):
    pair(runs, 20, keys="early_stop='obf'")
    path = runs.path / "test_pair.py"
    path.write_text(path.read_text().replace("ACCURACY", "MEAN_F1"))
    result = runs.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert 'ports F1: early_stop = "obf" is for right and wrong answers' in said(result)
    assert toy.loads == []
