"""--slmsec-device-profile: limits on this process, memory that runs out, latency, launchers, and what is refused.

No machine of the tests may make control groups: the launcher is a script that notes its arguments."""

import json
import os
import sys

import pytest

KIOSK = "[devices.kiosk]\nmemory_gb = 1\ncores = 1\nthreads = 1\n"
CONFTEST = """
import pytest_slmsec.devices.latency as latency
from free_engine import FreeEngine

latency.WARM_UP_S = 0.0  # the runs of the warm-up are still made

class Hungry(FreeEngine):
    def run(self, requests):
        if any("ports 4 " in request.messages[-1].content for request in requests):
            bytearray(4 * 2**30)
        return super().run(requests)

def pytest_slmsec_models(config):
    return {"alpha": {"location": "/nowhere"}}

def pytest_slmsec_make_engine(config, spec, settings):
    return Hungry(spec)

def pytest_terminal_summary():
    bytearray(4 * 2**30)  # a report of another plugin is not held to the limits
"""


@pytest.fixture
def kiosk(toy):
    toy.pytester.path.joinpath("slmsec.toml").write_text(KIOSK)
    toy.pytester.makeconftest(CONFTEST)
    return toy


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
def test_within_a_profile_memory_that_runs_out_is_a_failed_case_and_the_run_goes_on(kiosk, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    profile = "--slmsec-device-profile=kiosk:approximate"
    result = kiosk.run(profile, "--benchmark-json=out.json", models=("alpha",), subprocess=True)
    out = result.stdout.str()
    assert result.parseoutcomes()["failed"] == 1
    held = f"1 of {len(os.sched_getaffinity(0))} processors by affinity, 1 thread by OMP_NUM_THREADS, RLIMIT_DATA"
    assert f"slmsec: device profile kiosk (1 core, 1 GB), approximate: {held}, a watch on resident memory" in out
    assert "ports-00004: out of memory: the device profile kiosk has 1 GB; take a smaller model" in out
    assert "alpha on this CPU, limited to kiosk (approximate): peak 0." in out
    assert "alpha hashes: one request at a time " in out
    asked = sum("ask" in note and len(note["ask"]) == 1 for note in kiosk.notes())
    assert asked >= 10 + 30  # the warm-up, and what is timed
    content = json.loads((kiosk.pytester.path / "out.json").read_text())
    facts = next(entry["extra_info"] for entry in content["benchmarks"] if entry["name"] == "hashes:latency[alpha]")
    assert facts["device_profile"]["name"] == "kiosk"
    assert (facts["device_profile"]["how"], facts["device_profile"]["held"][2]) == ("approximate", "RLIMIT_DATA")
    assert facts["single_request"]["n"] == 30
    assert 0 < facts["single_request"]["p50_s"] <= facts["single_request"]["p90_s"]
    (group,) = content["slmsec"]["groups"]
    assert group["benchmark"] == "hashes"  # of ports one item has no answer


def test_a_launcher_runs_it_with_the_same_arguments_and_gives_its_status(kiosk, monkeypatch):
    home = kiosk.pytester.path
    script = home / "bin" / "systemd-run"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nimport sys\nif 'pytest' not in sys.argv:\n    sys.exit(0)\n"
                      "print('inside', sys.argv[1:])\nsys.exit(3)\n")  # fmt: skip
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    result = kiosk.run("--slmsec-device-profile=kiosk", models=("alpha",), subprocess=True)
    assert result.ret == 3
    out = result.stdout.str()
    assert f"'MemoryMax={2**30}'" in out
    assert "'--model=alpha', '--slmsec-device-profile=kiosk'" in out
    assert not kiosk.loads


@pytest.mark.parametrize(("profile", "says"), [
    ("kiosc", "*there is no profile 'kiosc'; did you mean 'kiosk'?*"),
    ("huge:approximate", "*--slmsec-device-profile=huge: it has 4096 cores and this process may use *"),
    ("nothing", "*The device profile nothing: cores = 0: a limit must be a whole number above 0.*"),
    ("kiosk:enforced", "*neither systemd-run nor docker (with an image in the profile) can limit a process here*"),
])  # fmt: skip
def test_a_profile_that_cannot_be_used_is_one_sentence_before_anything_runs(kiosk, monkeypatch, profile, says):
    more = "[devices.huge]\nmemory_gb = 1\ncores = 4096\nthreads = 1\n"
    more += "[devices.nothing]\nmemory_gb = 1\ncores = 0\nthreads = 1\n"
    kiosk.pytester.path.joinpath("slmsec.toml").write_text(KIOSK + more)
    monkeypatch.setenv("PATH", str(kiosk.pytester.path))  # no launcher
    result = kiosk.run(f"--slmsec-device-profile={profile}", models=("alpha",))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])
    assert not kiosk.loads


def test_a_model_that_cannot_fit_is_refused_before_it_is_loaded(kiosk):
    path = kiosk.pytester.path
    path.joinpath("slmsec.toml").write_text("[devices.watch]\nmemory_gb = 0.25\ncores = 1\nthreads = 1\n")
    path.joinpath("conftest.py").unlink()
    result = kiosk.run("--slmsec-device-profile=watch:observed", models=("tinysec",))
    out = " ".join(result.stdout.str().split())
    assert "tinysec needs about 0.4 GB (weights, cache of the longest prompt, runtime), the profile watch has" in out
    assert result.parseoutcomes()["errors"] == 1
    assert "passed" not in result.parseoutcomes()
