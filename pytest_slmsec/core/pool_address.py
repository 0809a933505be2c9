"""Where a pool of replicas runs: ``--slmsec-pool=ray:local:N | ray://HOST[:PORT] | ray:auto``."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass

from pytest_slmsec.core.errors import UsageError

OPTION = "--slmsec-pool"
CLIENT_PORT = 10001
"""Where the head of a Ray cluster listens for clients, unless it is told otherwise."""
LOCAL = re.compile(r"ray:local:([1-9]\d*)")
REMOTE = re.compile(r"ray://(\[[^\]]+\]|[^:/\s]+)(?::(\d+))?/?")


@dataclass(frozen=True, slots=True)
class PoolAddress:
    """One of three places.

    Attributes:
        local: so many replicas on this machine, in a cluster that is started for them and ended with the run.
        host, port: a cluster whose head listens there for clients. With neither, the cluster of which this machine is a
            node.
    """

    local: int | None = None
    host: str | None = None
    port: int = CLIENT_PORT

    @classmethod
    def parse(cls, text: str) -> PoolAddress:
        """Read what follows ``--slmsec-pool=``.

        Raises:
            UsageError: it has none of the forms.
        """
        if (found := LOCAL.fullmatch(text)) is not None:
            return cls(local=int(found[1]))
        if text == "ray:auto":
            return cls()
        found = REMOTE.fullmatch(text)
        if found is None:
            raise UsageError(
                f"{OPTION}={text}: write ray:local:N for N replicas on this machine, ray://HOST for a Ray cluster, or "
                "ray:auto on one of its nodes."
            )
        return cls(host=found[1].strip("[]"), port=int(found[2] or CLIENT_PORT))

    @property
    def ray_address(self) -> str:
        """The address in Ray's own words."""
        if self.host is None:
            return "auto"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ray://{host}:{self.port}"

    def __str__(self) -> str:
        return f"ray:local:{self.local}" if self.local is not None else self.ray_address.replace("auto", "ray:auto")


def refuse_public(address: PoolAddress) -> None:
    """Refuse a cluster that the whole internet can reach: whoever reaches a Ray cluster may run code on it.

    Raises:
        UsageError: its head has a public address, or no address is known for its name.
    """
    if address.host is None:
        return
    try:
        found = {str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(address.host, address.port)}
    except OSError as error:
        raise UsageError(f"{OPTION}={address}: no address of {address.host} is known ({error.strerror}).") from None
    public = sorted(one for one in found if is_public(one))
    if public:
        raise UsageError(
            f"{OPTION}={address}: {public[0]} is a public address, and whoever reaches a Ray cluster may run code on "
            "it (CVE-2023-48022): keep it in a private network, and reach it through a tunnel (ssh -L "
            f"{CLIENT_PORT}:localhost:{CLIENT_PORT} HOST, then ray://localhost)."
        )


def is_public(ip: str) -> bool:
    """Whether an IP address can be reached from the whole internet."""
    try:
        return ipaddress.ip_address(ip).is_global
    except ValueError:
        return False  # a name that Ray knows nodes by
