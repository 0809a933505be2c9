"""The distance of distributions in a run: against a number, and against what an accepted build showed."""

import json
from statistics import fmean

import pytest
import torch  # noqa: F401  -- inner runs in this process import it otherwise
from gate_runs import BOTH, gates

LOGITS = """

class Logits(Lossy):
    # next-token distributions that a candidate shifts by as much as the environment says
    def __init__(self, spec):
        super().__init__(spec)
        from types import SimpleNamespace
        import torch

        noise = float(os.environ.get("NOISE", 0)) if spec.quant else 0.0

        def logits(tokens, start=0):
            rows = (torch.arange(len(tokens), dtype=torch.float64) + torch.tensor(tokens))[:, None]
            found = torch.sin(rows * (1 + torch.arange(7))) + noise * torch.cos(rows * torch.arange(7))
            return found[start:]

        self.logits = logits
        self.prompts = SimpleNamespace(encode=lambda requests: [
            SimpleNamespace(prompt=(1, 2, len(r.id)), choices=((3, 4, int(r.id[-2:]), 5),)) for r in requests
        ])


def pytest_slmsec_make_engine(config, spec, settings):
    return Logits(spec)
"""


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


@pytest.fixture
def near(runs):
    """Runs whose engine gives logits, with a suite large enough to PASS."""
    with (runs.path / "conftest.py").open("a") as file:
        file.write(LOGITS)
    runs.suite(300)
    return runs


def configured(runs, text, noise):
    runs.monkeypatch.setenv("NOISE", str(noise))
    (runs.path / "pyproject.toml").write_text(f"[tool.slmsec.gate.fidelity]\nitems = 30\n{text}\n")


def test_a_distance_within_its_budget(near):
    configured(near, 'metric = "kl"\nbudget = 0.05', 0.01)
    result = near.run(*BOTH)
    assert (result.ret, gates(result)) == (0, {"gates": 6})
    assert "KL a token" in said(result)


def test_beyond_its_budget_the_suite_is_undecided_or_fails_where_it_blocks(near):
    configured(near, "budget = 0.001", 0.5)
    result = near.run(*BOTH)
    assert "SUITE: INCONCLUSIVE" in said(result)
    assert "The likeliest token is the same in" in said(result)
    configured(near, "budget = 0.001\nblocks = true", 0.5)
    assert "SUITE: FAIL" in said(near.run(*BOTH))


def test_a_budget_recorded_with_the_accepted_build(near):
    configured(near, 'budget = "recorded*1.5"', 0.1)
    base = ("--slmsec-baseline=base.json",)
    assert near.run(*BOTH, *base, "--slmsec-update-baseline").ret == 0
    result = near.run(*BOTH, *base)
    assert result.ret == 1
    assert "the baseline holds no KL of alpha-gptq4; record one with" in said(result)
    assert near.run(*BOTH, *base, "--slmsec-update-baseline").ret == 0
    record = json.loads((near.path / "base.json").read_text())["slmsec"]["fidelity"]["alpha-gptq4"]
    assert record["base"] == "alpha"
    assert record["kl"] == pytest.approx(fmean(record["each"]["kl"]))
    assert set(record["each"]["benchmark"]) == {"ports"}
    assert len(set(record["each"]["item"])) == 30
    assert near.run(*BOTH, *base).ret == 0  # the same build again
    assert f"{1.5 * record['kl']:.3f}" in said(near.run(*BOTH, *base))
    configured(near, 'budget = "recorded*1.5"', 0.3)
    worse = near.run(*BOTH, *base)
    assert "The model changed more than its recipe ever did" in said(worse)
    assert worse.ret == 0  # undecided is no failure unless the policy says so
    assert near.run(*BOTH, *base, "--slmsec-update-baseline").ret == 1


def test_the_record_of_a_model_that_is_not_in_the_run_is_kept(near):
    configured(near, 'budget = "recorded"', 0.1)
    for _ in range(2):
        near.run(*BOTH, "--slmsec-baseline=base.json", "--slmsec-update-baseline")
    near.run("--model=alpha", "--slmsec-baseline=base.json", "--slmsec-update-baseline")
    assert "alpha-gptq4" in json.loads((near.path / "base.json").read_text())["slmsec"]["fidelity"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('budget = "recorded*0.5"', "a factor below 1 refuses the accepted build itself"),
        ('budget = "twice"', 'write nats a token, such as 0.05, or "recorded*1.5"'),
        ('metric = "tv"', "must be one of kl"),
    ],
)
def test_mistakes(near, line, message):
    configured(near, line, 0)
    result = near.run(*BOTH)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in said(result)


def test_a_stored_base_need_not_be_loaded_again(near, toy):
    configured(near, "budget = 0.001", 0.5)
    near.run("--model=alpha", "--benchmark-json=base.json")
    kept = json.loads((near.path / "base.json").read_text())["slmsec"]["distributions"]["alpha"]
    assert len(kept) == 30
    toy.log.unlink()
    result = near.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert set(toy.loads) == {"alpha-gptq4"}
    assert "KL a token" in said(result)
    assert "The model changed more than its recipe ever did" in said(result)
    configured(near, "budget = 0.05", 0.001)
    result = near.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert "The KL is a lower bound (only the top tokens were kept)" in said(result)


def test_a_budget_recorded_against_a_stored_base(near):
    configured(near, 'budget = "recorded*1.5"', 0.1)
    near.run("--model=alpha", "--benchmark-json=base.json")
    base = ("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert near.run(*base).ret == 1
    assert near.run(*base, "--slmsec-update-baseline").ret == 0
    record = json.loads((near.path / "base.json").read_text())["slmsec"]["fidelity"]["alpha-gptq4"]
    assert record["partition"] == "top 64"
    assert record["kl"] == pytest.approx(fmean(record["each"]["kl"]))
    assert len(record["each"]["item"]) == 30
    result = near.run(*base)
    assert (result.ret, gates(result)) == (0, {"gates": 6})


def test_a_stored_base_without_distributions_is_an_error_that_says_what_to_do(near):
    near.run("--model=alpha", "--benchmark-json=base.json")
    configured(near, "budget = 0.05", 0.1)
    result = near.run("--model=alpha-gptq4", "--slmsec-baseline=base.json")
    assert result.ret == 1
    assert "base.json keeps no distributions of alpha: name it in this run, --model=alpha, or store it anew" in said(
        result
    )


def test_an_engine_without_logits_keeps_nothing_and_says_so(runs):
    runs.suite(150)
    configured(runs, "", 0)
    result = runs.run("--model=alpha", "--benchmark-json=base.json", "-rs")
    assert result.ret == 0
    assert "No distributions of alpha are kept: The distance of free 1 cannot be measured" in said(result)
