"""Peaks are real, and what a machine cannot tell is None with a reason."""

import json
import subprocess
import sys

import pytest

from pytest_slmsec.meters import energy
from pytest_slmsec.meters import memory as memory_module
from pytest_slmsec.meters.device import machine_facts
from pytest_slmsec.meters.memory import MemoryMeter, read_sample
from pytest_slmsec.meters.nvml import Gpu, Reading, ask, process_bytes
from pytest_slmsec.meters.session import Meters

MIB = 2**20
on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def hold(mib):
    """Memory that is really touched, long enough for a sample."""
    block = bytearray(mib * MIB)
    block[::4096] = b"x" * len(block[::4096])
    read_sample()
    return block


@on_linux
def test_memory_that_came_and_went_shows_in_the_peak():
    before = read_sample()
    with MemoryMeter() as meter:
        block = hold(64)
        while meter._sampler.private < before.private + 48 * MIB:  # until the sampling thread has seen it
            pass
        del block
    assert meter.use.peak_private_bytes - before.private > 48 * MIB
    assert meter.use.peak_rss_bytes - before.rss > 48 * MIB


@on_linux
def test_the_peak_of_one_batch_is_not_that_of_the_one_before():
    with MemoryMeter() as first:
        block = hold(96)
    del block
    with MemoryMeter() as second:
        pass
    assert second.use.peak_private_bytes < first.use.peak_private_bytes - 64 * MIB
    assert second.use.peak_rss_bytes < first.use.peak_rss_bytes - 64 * MIB


@on_linux
def test_where_the_peak_cannot_be_reset_the_highest_sample_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_module, "CLEAR_REFS", tmp_path / "none" / "here")
    block = hold(96)
    peak = read_sample().peak_rss
    del block
    with MemoryMeter() as meter:
        pass
    assert 0 < meter.use.peak_rss_bytes < peak - 64 * MIB


def test_a_system_without_proc_is_read_through_psutil_and_says_what_it_lacks(monkeypatch, tmp_path):
    monkeypatch.setattr(memory_module, "STATUS", tmp_path / "none")
    monkeypatch.setattr(memory_module, "CLEAR_REFS", tmp_path / "none" / "either")
    with MemoryMeter() as meter:
        pass
    assert meter.use.peak_rss_bytes > 0
    assert meter.use.peak_private_bytes is None
    assert "cannot be read on this system" in meter.use.reasons["peak_private_bytes"]


def test_every_unknown_has_a_reason_and_none_is_zero():
    meters = Meters.start()
    readings = meters.end(meters.begin())
    meters.stop()
    reasons = readings.pop("reasons")
    assert readings.keys() >= {"peak_rss_bytes", "peak_private_bytes", "peak_gpu_bytes", "energy_j"}
    for name, value in readings.items():
        assert (value is None) == (name in reasons)
        assert value != 0
    json.dumps(readings)


def test_a_failed_batch_leaves_no_thread_behind():
    meters = Meters.start()
    meters.begin()
    meters.begin()  # the batch before raised, so `end` was never reached
    meters.stop()
    assert meters._memory._sampler is None


def test_a_driver_that_refuses_a_counter_gives_a_reason():
    class Nvml:
        class NVMLError(Exception):
            pass

        @staticmethod
        def nvmlDeviceGetComputeRunningProcesses(handle):
            raise Nvml.NVMLError("Not Supported")

        @staticmethod
        def nvmlDeviceGetTotalEnergyConsumption(handle):
            raise Nvml.NVMLError("Not Supported")

    gpu = Gpu(Nvml, "handle", None)
    assert energy.read_counter(gpu).reason == "NVML does not give energy (Not Supported)"
    assert process_bytes(gpu, 1).reason == "NVML does not list processes (Not Supported)"
    assert ask(gpu, "the answer", lambda nvml, handle: 42) == Reading(42, None)


def test_machine_facts_are_stable_plain_data():
    facts = machine_facts()
    assert facts == machine_facts() == json.loads(json.dumps(facts))
    assert facts["cpus_usable"] >= 1
    assert facts["packages"]["torch"]
    assert all(facts["reasons"][key] for key, value in facts.items() if value is None)


def test_meters_do_not_import_torch():
    code = (
        "import sys; from pytest_slmsec.meters.session import Meters;"
        "from pytest_slmsec.meters.device import machine_facts;"
        "m = Meters.start(); m.end(m.begin()); m.stop(); machine_facts(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
