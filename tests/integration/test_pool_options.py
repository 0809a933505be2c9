"""--slmsec-pool: what it is refused with, in one sentence and before anything is collected; no Ray is needed."""

from importlib.util import find_spec

import pytest


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--slmsec-pool=dask://x"], "--slmsec-pool=dask://x: write ray:local:N for N replicas on this machine"),
        (["--slmsec-pool=ray://8.8.8.8"], "8.8.8.8 is a public address, and whoever reaches a Ray cluster may run"),
        (["--slmsec-pool=ray:local:2", "-n", "2"], "has replicas of its own: leave out -n"),
        (
            ["--slmsec-pool=ray:local:2", "--slmsec-device-profile=docker-sim:observed"],
            "the limits of --slmsec-device-profile",
        ),
    ],
)
def test_what_does_not_go_together(toy, args, says):
    result = toy.run(*args)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert says in " ".join(result.stderr.str().split())
    assert "Traceback" not in result.stderr.str()
    assert not toy.asked


def test_gates_that_measure_in_one_process_are_refused(toy):
    (toy.pytester.path / "slmsec.toml").write_text('pool = "ray:local:2"\n[gate.memory]\nruns = 2\n')
    result = toy.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "measure in one process: leave out --slmsec-pool, or these" in " ".join(result.stderr.str().split())


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_pip_line_is_said(toy):
    result = toy.run("--slmsec-pool=ray:local:2")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "pip install 'pytest-slmsec[ray]'" in result.stderr.str()
