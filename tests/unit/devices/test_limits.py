"""Approximate limits: they hold in a process of their own, are taken back, and memory that runs out is one sentence."""

import os
import subprocess
import sys

import pytest

from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.devices import limits
from pytest_slmsec.devices.limits import MemoryGuard
from pytest_slmsec.devices.profile import GB, Profile

on_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Linux")
KIOSK = Profile("kiosk", 0.5, 1, 1)
PROGRAM = """
import os, resource
from pytest_slmsec.core.errors import EngineError
from pytest_slmsec.devices.limits import MemoryGuard, limit_process
from pytest_slmsec.devices.profile import Profile

kiosk = Profile("kiosk", 0.5, 1, 1)
processors, data = os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_DATA)
held, restore = limit_process(kiosk)
print(len(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"], resource.getrlimit(resource.RLIMIT_DATA)[0])
print("; ".join(held))
try:
    with MemoryGuard(kiosk)():
        bytearray(2**30)
except EngineError as error:
    print(error)
restore()
assert (os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_DATA)) == (processors, data)
assert "OMP_NUM_THREADS" not in os.environ
"""


@on_linux
def test_processors_threads_and_data_are_limited_and_given_back():
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    ended = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, env=environment, check=True)
    numbers, held, sentence = ended.stdout.splitlines()
    assert numbers == f"1 1 {GB // 2}"
    assert held.startswith("1 of ")
    assert held.endswith(
        " processors by affinity; 1 thread by OMP_NUM_THREADS; RLIMIT_DATA; a watch on resident memory"
    )
    assert sentence == (
        "out of memory: the device profile kiosk has 0.5 GB; take a smaller model or --slmsec-batch-tokens."
    )


def test_resident_memory_above_the_limit_is_one_sentence():
    small = Profile("kiosk", 0.001, 1, 1)  # this process has more
    with (
        pytest.raises(
            EngineError, match=r"out of memory: it took [\d.]+ GB, and the device profile kiosk has 0.001 GB"
        ),
        MemoryGuard(small)(),
    ):
        pass


@pytest.mark.parametrize(("error", "expected"), [
    (MemoryError(), EngineError),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), EngineError),
    (RuntimeError("could not create a primitive"), EngineError),
    (RuntimeError("shapes do not fit"), RuntimeError),
    (KeyError("x"), KeyError),
])  # fmt: skip
def test_only_memory_that_ran_out_is_told_as_such(error, expected):
    with pytest.raises(expected) as raised, MemoryGuard(Profile("kiosk", 64, 1, 1))():
        raise error
    assert type(raised.value) is expected


def test_a_user_who_wants_fewer_threads_than_the_profile_gets_them(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words, restore = limits._limit_threads(Profile("server", 64, 16, 16), 1.0)
    assert (words, os.environ["OMP_NUM_THREADS"]) == ("1 thread by OMP_NUM_THREADS", "1")
    restore()
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    limits._limit_threads(Profile("server", 64, 16, 16), 1.0)
    assert os.environ["OMP_NUM_THREADS"] == "16"
