"""Where a pool runs, and which places are refused."""

import pytest

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.pool_address import PoolAddress, is_public, refuse_public


@pytest.mark.parametrize(
    ("text", "address", "ray"),
    [
        ("ray:local:4", PoolAddress(local=4), "auto"),
        ("ray:auto", PoolAddress(), "auto"),
        ("ray://head", PoolAddress(host="head"), "ray://head:10001"),
        ("ray://10.0.0.7:20001", PoolAddress(host="10.0.0.7", port=20001), "ray://10.0.0.7:20001"),
        ("ray://[fd00::7]:20001", PoolAddress(host="fd00::7", port=20001), "ray://[fd00::7]:20001"),
    ],
)
def test_the_three_forms(text, address, ray):
    assert PoolAddress.parse(text) == address
    assert address.ray_address == ray


@pytest.mark.parametrize("text", ["", "ray", "ray:local", "ray:local:0", "ray://", "ray://a b", "10.0.0.7", "dask://x"])
def test_other_forms_are_refused(text):
    with pytest.raises(UsageError, match=r"--slmsec-pool=.* write ray:local:N for N replicas"):
        PoolAddress.parse(text)


@pytest.mark.parametrize(
    ("ip", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("10.1.2.3", False), ("192.168.0.2", False), ("127.0.0.1", False),
        ("172.16.0.1", False), ("100.64.0.1", False), ("fd00::1", False), ("head-node", False),
    ],
)  # fmt: skip
def test_public_addresses(ip, public):
    assert is_public(ip) is public


def test_a_public_address_is_refused_with_a_way_out():
    with pytest.raises(UsageError, match=r"8\.8\.8\.8 is a public address, .* through a tunnel \(ssh -L 10001"):
        refuse_public(PoolAddress.parse("ray://8.8.8.8"))
    refuse_public(PoolAddress.parse("ray://127.0.0.1"))
    refuse_public(PoolAddress.parse("ray:auto"))


def test_a_name_without_an_address_is_refused():
    with pytest.raises(UsageError, match=r"no address of nowhere\.invalid is known"):
        refuse_public(PoolAddress.parse("ray://nowhere.invalid"))
