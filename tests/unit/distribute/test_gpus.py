"""GPUs and workers, on a machine that need not have any."""

import pytest

from pytest_slmsec.distribute import gpus
from pytest_slmsec.distribute.gpus import GpuAssignment, gpus_for, shared_gpus_warning, visible


@pytest.mark.parametrize(
    ("listed", "n_installed", "found"),
    [
        (None, 0, []),
        (None, 2, ["0", "1"]),
        ("", 2, []),
        ("1", 2, ["1"]),
        ("3, 1", 4, ["3", "1"]),
        ("0,-1,1", 2, ["0"]),
        ("0,7", 2, ["0"]),
        ("GPU-8932f937,GPU-46309e1f", 2, ["GPU-8932f937", "GPU-46309e1f"]),
        ("0", 0, []),
    ],
)
def test_what_cuda_lets_a_process_see(listed, n_installed, found):
    assert visible(listed, n_installed) == found


@pytest.mark.parametrize(
    ("device", "found"), [("auto", ["0", "1"]), ("cuda", ["0", "1"]), ("cuda:1", ["1"]), ("cpu", []), ("mps", [])]
)
def test_the_device_says_which_gpus_count(monkeypatch, device, found):
    monkeypatch.delenv(gpus.VISIBLE, raising=False)
    monkeypatch.setattr(gpus, "installed", lambda: 2)
    assert gpus_for(device) == found


def test_workers_are_pinned_in_turn_and_a_freed_gpu_goes_to_the_next():
    assignment = GpuAssignment(["0", "1"])
    assert [assignment.assign("gw0"), assignment.assign("gw1")] == ["0", "1"]
    assignment.release("gw1")
    assert assignment.assign("gw2") == "1"


def test_workers_beyond_the_gpus_are_spread_evenly():
    assignment = GpuAssignment(["0", "1"])
    assert [assignment.assign(f"gw{number}") for number in range(4)] == ["0", "1", "0", "1"]


@pytest.mark.parametrize(("workers", "found"), [(2, ["0", "1"]), (1, ["0"]), (8, [])])
def test_nothing_is_said_where_each_worker_has_a_gpu_or_none_has(workers, found):
    assert shared_gpus_warning(workers, found) is None


def test_more_workers_than_gpus():
    said = shared_gpus_warning(4, ["0"])
    assert said.startswith("4 workers share 1 GPU: each loads every model it asks")
    assert said.endswith("use -nauto, which starts one worker a GPU.")
