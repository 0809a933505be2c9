"""Enforced limits: the commands of systemd-run and docker, and the control group that a run finds itself in.

No machine of the tests may make control groups, so the launcher is a script that notes its arguments, and the control
groups are a tree of files."""

import sys

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.devices.launch import (
    check_limited,
    docker_command,
    find_launcher,
    relaunch,
    systemd_command,
    works,
)
from pytest_slmsec.devices.profile import Profile
from pytest_slmsec.meters.control_groups import memory_limit

SIM = Profile("docker-sim", 2, 2, 2)
WITH_IMAGE = Profile("docker-sim", 2, 2, 2, image="slmsec:1")
BYTES = 2 * 2**30


def test_systemd_run_gets_every_limit():
    assert systemd_command(SIM, ["python", "-m", "pytest"], as_root=True) == [
        "systemd-run", "--scope", "--quiet", "-p", f"MemoryMax={BYTES}", "-p", "MemorySwapMax=0", "-p", "CPUQuota=200%",
        "-p", "AllowedCPUs=0-1", "--", "python", "-m", "pytest",
    ]  # fmt: skip
    assert "--user" in systemd_command(SIM, ["true"], as_root=False)


def test_docker_gets_every_limit_and_no_network(tmp_path):
    assert docker_command(WITH_IMAGE, ["python"], tmp_path) == [
        "docker", "run", "--rm", f"--memory={BYTES}", f"--memory-swap={BYTES}", "--cpus=2", "--network=none",
        f"--volume={tmp_path}:{tmp_path}", f"--workdir={tmp_path}", "--env=SLMSEC_LIMITED_BY=docker", "slmsec:1",
        "python",
    ]  # fmt: skip
    with pytest.raises(UsageError, match=r"docker needs an image: set \[tool.slmsec.devices.docker-sim\] image"):
        docker_command(SIM, ["python"], tmp_path)


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Puts a launcher of a name on the path that notes its arguments and who limits it, and ends with a status."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(name, status):
        path = tmp_path / name
        path.write_text(f"#!{sys.executable}\nimport os, sys\n"
                        f"open({str(tmp_path / 'noted')!r}, 'a').write(' '.join(sys.argv[1:]) + ' '"
                        f" + os.environ.get('SLMSEC_LIMITED_BY', '-') + '\\n')\nsys.exit({status})\n")  # fmt: skip
        path.chmod(0o755)
        return tmp_path / "noted"

    return put


def test_what_cannot_limit_here_is_not_taken(launcher):
    assert find_launcher(WITH_IMAGE) is None
    launcher("systemd-run", 1)
    assert find_launcher(SIM) is None
    launcher("docker", 0)
    assert find_launcher(SIM) is None
    assert find_launcher(WITH_IMAGE) == "docker"
    launcher("systemd-run", 0)
    assert find_launcher(WITH_IMAGE) == "systemd-run"
    assert not works(["nothing-here"])


def test_limits_that_the_launcher_only_promises_are_not_taken(tmp_path, monkeypatch):
    """A launcher that runs the command and limits nothing, as a manager without the memory controller does."""
    script = tmp_path / "systemd-run"
    script.write_text(f"#!{sys.executable}\nimport os, sys\ncommand = sys.argv[sys.argv.index('--') + 1:]\n"
                      "os.execv(command[0], command)\n")  # fmt: skip
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_launcher(Profile("speck", 0.000001, 1, 1)) is None


def test_the_run_goes_on_inside_with_the_same_arguments_and_its_status_comes_back(launcher, tmp_path):
    noted = launcher("systemd-run", 3)
    assert relaunch("systemd-run", SIM, ["--model=tinysec", "-q"], "python", tmp_path) == 3
    assert noted.read_text().endswith("-- python -m pytest --model=tinysec -q systemd-run\n")
    launcher("docker", 0)
    assert relaunch("docker", WITH_IMAGE, ["-q"], "python", tmp_path) == 0
    assert noted.read_text().endswith("slmsec:1 python -m pytest -q docker\n")


def group(root, line, **limits):
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(f"{line}\n")
    for name, limit in limits.items():
        path = root / "sys/fs/cgroup" / name.replace("__", "/").replace("_max", ".max").replace("_in", "_in")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{limit}\n")
    return root


def test_the_smallest_limit_around_a_process_counts(tmp_path):
    root = group(tmp_path, "0::/user/run", user__memory_max=BYTES, user__run__memory_max="max")
    assert memory_limit(root) == BYTES
    check_limited(SIM, "systemd-run", root)


def test_the_first_version_of_control_groups_is_read_too(tmp_path):
    root = group(tmp_path, "4:memory:/run")
    file = root / "sys/fs/cgroup/memory/run/memory.limit_in_bytes"
    file.parent.mkdir(parents=True)
    file.write_text(f"{BYTES}\n")
    assert memory_limit(root) == BYTES


@pytest.mark.parametrize(("limit", "allows"), [("max", "any"), (BYTES * 2, str(BYTES * 2))])
def test_limits_that_are_not_there_are_not_called_enforced(tmp_path, limit, allows):
    root = group(tmp_path, "0::/run", run__memory_max=limit)
    with pytest.raises(UsageError, match=f"its control group allows {allows} bytes of memory"):
        check_limited(SIM, "systemd-run", root)
