"""Memory: the threshold holds for the larger of two runs, and a peak that does not repeat says nothing."""

import json

import pytest
from gate_runs import BOTH, gates

METERS = """

import pytest
from pytest_slmsec.meters.session import Meters

PEAKS = json.loads(os.environ["PEAKS"])  # of each model: first run, second run, in MiB


class Measured(Lossy):
    loaded = []

    def __init__(self, spec):
        super().__init__(spec)
        self.loaded.append(spec.name)
        Measured.peak = PEAKS[spec.name][self.loaded.count(spec.name) - 1]


@pytest.fixture(autouse=True, scope="session")
def readings():
    end = Meters.end
    Meters.end = lambda self, before: {**end(self, before), "peak_gpu_bytes": Measured.peak * 2**20}
    yield


def pytest_unconfigure(config):
    Measured.loaded.clear()


def pytest_slmsec_make_engine(config, spec, settings):
    return Measured(spec)
"""


def said(result):
    return " ".join((result.stdout.str() + result.stderr.str()).split())


@pytest.fixture
def measured(runs):
    """Runs whose models show given peaks of GPU memory."""
    with (runs.path / "conftest.py").open("a") as file:
        file.write("\nimport json\n" + METERS)
    runs.suite(300)
    (runs.path / "pyproject.toml").write_text('[tool.slmsec.gate.memory]\nmax_increase = "2% + 16MiB"\nruns = 2\n')
    return runs


def peaks(runs, base, candidate):
    runs.monkeypatch.setenv("PEAKS", json.dumps({"alpha": base, "alpha-gptq4": candidate}))


def test_a_peak_that_repeats_is_held_against_the_limit(measured, toy):
    peaks(measured, [1000, 1000], [1030, 1034])
    result = measured.run(*BOTH, subprocess=True)
    assert (result.ret, gates(result)) == (0, {"gates": 6})
    assert toy.loads == ["alpha", "alpha-gptq4", "alpha", "alpha-gptq4"]
    peaks(measured, [1000, 1000], [1030, 1040])
    result = measured.run(*BOTH, subprocess=True)
    assert result.ret == 1
    assert "peak memory: 4.0 % worse; you allowed up to 3.6 % worse." in said(result)


def test_a_peak_that_does_not_repeat_is_an_error(measured):
    peaks(measured, [1000, 1000], [500, 600])
    result = measured.run(*BOTH, subprocess=True)
    assert result.ret == 1
    assert "Peaks of the candidate differ by more than 1 % between runs: 524,288,000 and 629,145,600 bytes." in said(
        result
    )


def test_both_runs_are_stored_with_a_base(measured):
    peaks(measured, [1000, 1001], [500, 500])
    measured.run("--model=alpha", "--benchmark-json=base.json", subprocess=True)
    entries = json.loads((measured.path / "base.json").read_text())["benchmarks"]
    facts = next(entry["extra_info"] for entry in entries if entry["params"]["metric"] == "latency")
    assert facts["peak_gpu_bytes"] == 1000 * 2**20
    assert facts["peaks_again"]["peak_gpu_bytes"] == [1001 * 2**20]
    result = measured.run("--model=alpha-gptq4", "--slmsec-baseline=base.json", subprocess=True)
    assert (result.ret, gates(result)) == (0, {"gates": 6})


def test_a_single_run_cannot_decide(measured):
    (measured.path / "pyproject.toml").write_text("[tool.slmsec.gate.memory]\nruns = 1\n")
    peaks(measured, [1000], [2000])
    result = measured.run(*BOTH, subprocess=True)
    assert (result.ret, gates(result)) == (0, {"gates": 5})
    assert "peak memory" in said(result)


def test_the_second_run_needs_one_process(measured):
    peaks(measured, [1000, 1000], [1000, 1000])
    result = measured.run(*BOTH, "-n2", subprocess=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "[tool.slmsec.gate.memory] measures each peak a second time, in one process: leave out -n" in said(result)


@pytest.mark.parametrize("line", ["runs = 3", 'runs = "2"', "runs = 0"])
def test_mistakes(runs, line):
    runs.suite(20)
    (runs.path / "pyproject.toml").write_text(f"[tool.slmsec.gate.memory]\n{line}\n")
    assert runs.run(*BOTH).ret == pytest.ExitCode.USAGE_ERROR
