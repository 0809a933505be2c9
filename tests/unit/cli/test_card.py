"""The command `slmsec card`: seven axes of each model beside its base, and which form is dominated."""

import json
from pathlib import Path

import pytest
from benchmark_runs import content, plain, run
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.reports.card.axes import Axis, above_chance, axes_of
from pytest_slmsec.reports.card.limits import AXES, CardLimits, read_limits
from pytest_slmsec.reports.card.verdicts import COMPARED, Card, dominates, overall, with_dominance

QUARTER = {"answer": "A", "value": 0.25}
RIGHT, WORSE = "1110" * 25, "1100" * 25


def model(right, name="phi3", size=7_000_000, memory=2**30, **more):
    quant = None if name == "phi3" else name.rpartition("-")[2]
    engine = {"engine": "e", "device": "cpu", "model_bytes": size, "extra": {}}
    return plain(right, model=name, quant=quant, constant=QUARTER, engine=engine, peak_rss_bytes=memory, **more)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def write(*models, seconds=(1.0, 0.5, 0.5)):
        made = content(*models)
        for entry, mean in zip(made["benchmarks"], seconds, strict=False):
            entry["stats"] = {"mean": mean}
        (tmp_path / "run.json").write_text(json.dumps(made))

    return write


@pytest.mark.parametrize(("facts", "expected"), [
    ({"score": 0.25}, 0.0),
    ({"score": 1.0}, 1.0),
    ({"score": 0.7}, 0.6),
    ({"score": 0.1}, -0.2),
    ({"score": 1.0, "constant": {"value": 1.0}}, None),
    ({"score": 0.7, "constant": None}, None),
    ({"metric": "MAD", "binary": False, "mode": "official", "higher_is_better": False, "scale": 10.0, "score": 1.0,
      "constant": {"value": 2.0}}, 0.5),
])  # fmt: skip
def test_quality_is_corrected_for_chance(facts, expected):
    found = above_chance(run("1110", constant=QUARTER) if not facts else run("1110", **{"constant": QUARTER, **facts}))
    assert found == (None if expected is None else pytest.approx(expected))


def test_a_card_of_two_forms(here, capsys):
    here(model(RIGHT), model(RIGHT, "phi3-gptq8", 4_000_000, 2**29), model(WORSE, "phi3-gptq4", 5_000_000, 2**29))
    assert main(["card", "run.json", "--json", "card.json"]) == 0
    out = capsys.readouterr().out
    assert (
        out
        == """\
phi3-gptq8 against phi3
axis             value   base    limit
accuracy         0.667  0.667 >= 0.647  ok    above chance, mean of 1 benchmark
latency              -  not measured: no device profile
                        (--slmsec-device-profile)
size             0.571  1.000 <= 1.000  ok    3.8 of 6.7 MiB
memory           0.500  1.000 <= 1.000  ok    512.0 of 1,024.0 MiB
inference time   0.500  1.000 <= 1.000  ok    0.5 of 1 s, an item
power                -  not measured: the run does not say
robustness           -  not measured: no benchmark of perturbed items
                        (--slmsec-perturb)
overall: none (no weights in [tool.slmsec.card]).
worth it: yes, no other form here is at least as good in each of accuracy, size,
  inference time, memory.

phi3-gptq4 against phi3
axis             value   base    limit
accuracy         0.333  0.667 >= 0.647  under above chance, mean of 1 benchmark
latency              -  not measured: no device profile
                        (--slmsec-device-profile)
size             0.714  1.000 <= 1.000  ok    4.8 of 6.7 MiB
memory           0.500  1.000 <= 1.000  ok    512.0 of 1,024.0 MiB
inference time   0.500  1.000 <= 1.000  ok    0.5 of 1 s, an item
power                -  not measured: the run does not say
robustness           -  not measured: no benchmark of perturbed items
                        (--slmsec-perturb)
overall: none (no weights in [tool.slmsec.card]).
worth it: NO, phi3-gptq8 dominates it: no worse in accuracy, size, inference
  time, memory, and better in one.
"""
    )
    first, second = json.loads(Path("card.json").read_text())["cards"]
    assert list(first["axes"]) == list(AXES)
    assert (first["worth_it"], second["worth_it"], second["dominated_by"]) == (True, False, "phi3-gptq8")


def test_a_dominated_form_fails_on_request_only(here, capsys, tmp_path):
    here(model(RIGHT), model(WORSE, "phi3-gptq4"), seconds=(1.0, 1.0))
    assert main(["card", "run.json"]) == 0
    assert main(["card", "run.json", "--worth-it"]) == 1
    assert capsys.readouterr().out.endswith("\nFAIL: phi3-gptq4 is dominated by phi3.\n")
    (tmp_path / "slmsec.toml").write_text("[card]\nworth_it = true\n")
    assert main(["card", "run.json"]) == 1


def test_weights_give_one_number_and_stand_beside_it(here, capsys, tmp_path):
    here(model(RIGHT), model(RIGHT, "phi3-gptq4", 1_750_000))
    (tmp_path / "slmsec.toml").write_text("[card.weights]\naccuracy = 1\nsize = 1\n")
    assert main(["card", "run.json"]) == 0
    assert "overall: 2.000 times its base, with the weights accuracy 1, size 1." in capsys.readouterr().out
    (tmp_path / "slmsec.toml").write_text("[card.weights]\naccuracy = 1\npower = 1\n")
    assert main(["card", "run.json"]) == 0
    assert "overall: none, because power was not measured." in capsys.readouterr().out


@pytest.mark.parametrize(("config", "says"), [
    ("[card]\nweigths = {}\n", "unknown key 'weigths'; did you mean 'weights'?"),
    ("[card.weights]\nacuracy = 1\n", "there is no axis 'acuracy'; did you mean 'accuracy'?"),
    ("[card.weights]\nsize = 0\n", "weights.size = 0: must be a number above 0."),
    ("[card.limits]\nsize = 0\n", "limits.size = 0: a cost of 0 times the base's cannot be"),
    ("[card.limits]\naccuracy = true\n", "limits.accuracy = True: must be a number of at least 0."),
])  # fmt: skip
def test_a_wrong_configuration_is_one_sentence(here, capsys, tmp_path, config, says):
    here(model(RIGHT), model(RIGHT, "phi3-gptq4"))
    (tmp_path / "slmsec.toml").write_text(config)
    assert main(["card", "run.json"]) == 2
    assert says in capsys.readouterr().err


def test_without_a_base_there_is_no_card(here, capsys):
    here(model(RIGHT, "phi3-gptq4"))
    assert main(["card", "run.json"]) == 2
    assert "measure both in one run, or name the base with --base=MODEL." in " ".join(capsys.readouterr().err.split())
    assert main(["card", "run.json", "--base", "phi3"]) == 2
    assert "The run holds no model 'phi3'; it holds phi3-gptq4." in capsys.readouterr().err


def test_costs_under_two_device_profiles_are_never_compared():
    base = run(RIGHT, constant=QUARTER, device_profile={"name": "docker-sim", "how": "approximate"})
    other = run(
        RIGHT,
        model="phi3-gptq4",
        quant="gptq4",
        constant=QUARTER,
        device_profile={"name": "laptop-8gb", "how": "approximate"},
    )
    axes = {axis.name: axis for axis in axes_of([base], [other], CardLimits(), {})}
    assert axes["accuracy"].value == pytest.approx(2 / 3)
    said = "not compared: measured under the device profiles docker-sim (approximate) and laptop-8gb (approximate)"
    assert {axes[name].reason for name in ("latency", "size", "memory", "inference time", "power")} == {said}
    elsewhere = run(RIGHT, model="phi3-gptq4", constant=QUARTER, machine={"cpu": "another"})
    plain_base = run(RIGHT, constant=QUARTER)
    assert axes_of([plain_base], [elsewhere], CardLimits(), {})[2].reason == "not compared: measured on two machines"


def test_latency_is_the_median_of_one_request_at_a_time():
    base = run(RIGHT, single_request={"p50_s": 0.5, "p90_s": 1.0, "reason": None})
    fast = run(RIGHT, model="phi3-gptq4", single_request={"p50_s": 0.2, "p90_s": 1.0, "reason": None})
    latency = axes_of([base], [fast], CardLimits(), {})[1]
    assert (latency.value, latency.note) == (pytest.approx(0.4), "0.2 of 0.5 s, one request at a time")
    broken = run(RIGHT, model="phi3-gptq4", single_request={"p50_s": None, "p90_s": None, "reason": "out of memory"})
    assert axes_of([base], [broken], CardLimits(), {})[1].reason == "not measured: out of memory"


def test_robustness_is_the_quality_on_perturbed_items():
    runs = [[run(bits, model=name, benchmark=label, constant=QUARTER) for label, bits in both.items()]
            for name, both in {"phi3": {"cti-mcq": RIGHT, "cti-mcq+robust": RIGHT},
                               "phi3-gptq4": {"cti-mcq": RIGHT, "cti-mcq+robust": WORSE}}.items()]  # fmt: skip
    accuracy, *_, robustness = axes_of(runs[0], runs[1], CardLimits({"robustness": 0.5}), {})
    assert (accuracy.value, robustness.value) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert (robustness.limit, robustness.within) == (pytest.approx(2 / 3 - 0.5), True)


def axes(values):
    return tuple(Axis(name, value, 1.0) for name, value in zip(COMPARED, values, strict=True))


def card(name, values):
    return Card(name, "base", axes(values), None, None)


VALUES = st.tuples(*[st.sampled_from([0.25, 0.5, 1.0, 2.0])] * 4)


@given(VALUES, VALUES, VALUES)
def test_dominance_is_a_strict_order(first, second, third):
    a, b, c = card("a", first), card("b", second), card("c", third)
    assert not dominates(a, a, COMPARED)
    assert not (dominates(a, b, COMPARED) and dominates(b, a, COMPARED))
    if dominates(a, b, COMPARED) and dominates(b, c, COMPARED):
        assert dominates(a, c, COMPARED)


@given(st.lists(VALUES, min_size=1, max_size=5))
def test_of_some_forms_at_least_one_is_dominated_by_no_other_form(values):
    base = Card("base", "base", axes((1.0, 1.0, 1.0, 1.0)), None, None)
    found = with_dominance([card(f"form{n}", one) for n, one in enumerate(values)], {"base": base})
    assert any(one.dominated_by in (None, "base") for one in found)


@given(VALUES)
def test_the_overall_number_of_the_base_is_1_and_more_is_better(values):
    limits = CardLimits(weights=dict.fromkeys(COMPARED, 2.0))
    assert overall(axes((1.0, 1.0, 1.0, 1.0)), limits) == (pytest.approx(1.0), None)
    number, _ = overall(axes(values), limits)
    better, _ = overall(axes((values[0] * 2, *(value / 2 for value in values[1:]))), limits)
    assert better == pytest.approx(2 * number)


def test_the_overall_number_needs_a_base_above_chance():
    limits = CardLimits(weights={"accuracy": 1.0})
    assert overall((Axis("accuracy", 0.5, 0.0),), limits) == (None, "the base has no accuracy above chance")
    assert overall((Axis("accuracy", -0.5, 0.5),), limits) == (0.0, None)


def test_limits_are_read_by_axis():
    found = read_limits({"limits": {"size": 0.5}}, "[tool.slmsec.card]")
    assert (found.limit("size"), found.limit("memory"), found.limit("accuracy")) == (0.5, 1.0, 0.02)
    with pytest.raises(UsageError, match="must be a table of keys"):
        read_limits({"limits": 3}, "[tool.slmsec.card]")
