"""Cores that a process may use, out of file systems as Linux shows them."""

import os

import pytest

from pytest_slmsec.meters.cores import cpu_quota, usable_cores


def write(root, files):
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    return root


@pytest.fixture
def four_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)


TWO_CORES = {f"sys/devices/system/cpu/cpu{n}/topology/core_cpus_list": f"{n % 2},{n % 2 + 2}" for n in range(4)}


@pytest.mark.usefixtures("four_processors")
def test_two_hardware_threads_of_a_core_count_once(tmp_path):
    assert usable_cores(write(tmp_path, TWO_CORES)) == 2


@pytest.mark.usefixtures("four_processors")
def test_without_a_topology_each_processor_is_a_core(tmp_path):
    assert usable_cores(tmp_path) == 4


@pytest.mark.parametrize(("limit", "cores"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 4), ("0 0", 4)])
@pytest.mark.usefixtures("four_processors")
def test_a_quota_is_rounded_up_to_whole_cores(tmp_path, limit, cores):
    files = {"proc/self/cgroup": "0::/job", "sys/fs/cgroup/job/cpu.max": limit}
    assert usable_cores(write(tmp_path, files)) == cores


def test_the_tightest_group_around_a_process_counts(tmp_path):
    files = {
        "proc/self/cgroup": "0::/pod/container",
        "sys/fs/cgroup/pod/cpu.max": "100000 100000",
        "sys/fs/cgroup/pod/container/cpu.max": "300000 100000",
    }
    assert cpu_quota(write(tmp_path, files)) == 1.0


def test_inside_a_container_the_limit_stands_at_the_root(tmp_path):
    files = {"proc/self/cgroup": "0::/system.slice/docker-1.scope", "sys/fs/cgroup/cpu.max": "250000 100000"}
    assert cpu_quota(write(tmp_path, files)) == 2.5


def test_version_1_of_control_groups(tmp_path):
    files = {
        "proc/self/cgroup": "9:memory:/a\n4:cpu,cpuacct:/a",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "200000",
        "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000",
    }
    assert cpu_quota(write(tmp_path, files)) == 2.0
    (tmp_path / "sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us").write_text("-1\n")
    assert cpu_quota(tmp_path) is None


def test_this_machine_has_at_least_one_core():
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
