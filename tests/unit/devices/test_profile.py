"""Device profiles: which there are, and what of them is refused."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.devices.machine import Machine, check_fits
from pytest_slmsec.devices.profile import Chosen, Profile, choose, read_profile, shipped_profiles

SIM = Profile("docker-sim", 2, 2, 2)


def test_the_shipped_profiles_can_be_read():
    assert list(shipped_profiles()) == [
        "raspberry-pi-5", "jetson-orin-nano", "laptop-8gb", "soc-server", "docker-sim"]  # fmt: skip
    for name, table in shipped_profiles().items():
        assert read_profile(name, table).memory_bytes >= 2**31


def test_a_profile_is_named_with_or_without_how_it_holds():
    assert choose("docker-sim", {}) == Chosen(SIM, "auto")
    assert choose("docker-sim:observed", {}) == Chosen(SIM, "observed")
    own = {"kiosk": {"memory_gb": 0.5, "cores": 1, "threads": 1}}
    assert choose("kiosk", own).profile.words == "kiosk (1 core, 0.5 GB)"


@pytest.mark.parametrize(("text", "says"), [
    ("docker-sin", "--slmsec-device-profile=docker-sin: there is no profile 'docker-sin'; did you mean 'docker-sim'?"),
    ("docker-sim:enforce", "limits cannot hold as 'enforce'; did you mean 'enforced'?"),
])  # fmt: skip
def test_an_unknown_name_is_told_with_the_nearest(text, says):
    with pytest.raises(UsageError) as raised:
        choose(text, {})
    assert says in str(raised.value)


@pytest.mark.parametrize(("change", "says"), [
    ({"memory_gb": 0}, "memory_gb = 0: a limit must be a number above 0."),
    ({"cores": 1.5}, "cores = 1.5: a limit must be a whole number above 0."),
    ({"threads": True}, "threads = True: a limit must be a whole number above 0."),
    ({"power_limit_w": float("inf")}, "power_limit_w = inf: a limit must be a number above 0."),
    ({"accelerator": "tpu"}, "accelerator = 'tpu': must be one of none, cuda, mps."),
    ({"image": "--privileged"}, "image = '--privileged': must be the name of a docker image."),
    ({"memory": 2}, "unknown key 'memory'; did you mean 'memory_gb'?"),
])  # fmt: skip
def test_a_limit_that_cannot_be_is_one_sentence(change, says):
    with pytest.raises(UsageError) as raised:
        read_profile("kiosk", {"memory_gb": 1, "cores": 1, "threads": 1, **change})
    assert str(raised.value) == f"The device profile kiosk: {says}"


def test_a_profile_without_memory_is_refused():
    with pytest.raises(UsageError, match="memory_gb = 0"):
        read_profile("kiosk", {"cores": 1, "threads": 1})


@pytest.mark.parametrize(("profile", "machine", "device", "says"), [
    (SIM, Machine(2**33, 1), "auto", "it has 2 cores and this process may use 1: choose a smaller profile"),
    (SIM, Machine(2**30, 2), "auto", "it has 2 GB and this machine 1.0 GB: choose a smaller profile"),
    (Profile("orin", 2, 2, 2, "cuda"), Machine(2**33, 2), "auto", "computes on cuda, and this machine has no such"),
    (SIM, Machine(2**33, 2, True), "cuda", "it has no accelerator: leave out --slmsec-device=cuda."),
])  # fmt: skip
def test_a_profile_that_is_larger_than_the_machine_is_refused(profile, machine, device, says):
    with pytest.raises(UsageError) as raised:
        check_fits(profile, machine, device)
    assert says in str(raised.value)


def test_a_machine_of_unknown_memory_is_taken_at_its_cores():
    check_fits(SIM, Machine(None, 2), "cpu")
