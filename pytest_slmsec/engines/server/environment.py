"""Proxies and certificates that the environment names for connections, so that messages can name them too.

Source of the variables: httpx2, which reads ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` (in either
case, as curl does), ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``. Nothing of it is used for servers on this machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.engines.server.address import Address

CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
SOCKS_PACKAGE = "socksio"


class Proxy(NamedTuple):
    """A proxy of the environment. `variable`: its name there. `url`: without user name and password."""

    variable: str
    url: str

    def __str__(self) -> str:
        return f"the proxy {self.url} (environment variable {self.variable})"

    def remedy(self, host: str) -> str:
        """What to do if it does not work."""
        return f"correct or unset {self.variable}, or add {host} to NO_PROXY"


def proxy_for(address: Address) -> Proxy | None:
    """The proxy that requests to an address go through, or None."""
    host = address.host
    if address.is_local or proxy_bypass(host):
        return None
    scheme = urlsplit(address.url).scheme
    names = [name for kind in (scheme, "all") for name in (f"{kind}_proxy", f"{kind}_proxy".upper())]
    variable = next((name for name in names if os.environ.get(name)), None)
    return None if variable is None else Proxy(variable, _without_credentials(os.environ[variable]))


def _without_credentials(url: str) -> str:
    scheme, mark, rest = url.rpartition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}"


def check_certificates(address: Address) -> None:
    """Refuse a variable for certificates that names nothing.

    Raises:
        UsageError: naming the variable and the file or directory.
    """
    if address.is_local:
        return
    for variable in CERTIFICATES:
        place = os.environ.get(variable)
        if place and not Path(place).exists():
            raise UsageError(
                f"{variable}={place}: there is no such file or directory, and certificates of servers are read from "
                "it: correct or unset the variable."
            )


def unusable(address: Address, error: Exception) -> UsageError:
    """The error for a client that cannot be made: its proxy or its certificates cannot be used."""
    proxy = proxy_for(address)
    if isinstance(error, ImportError) and proxy is not None:
        return UsageError(f"{proxy} is a SOCKS proxy, which needs a package: pip install {SOCKS_PACKAGE}, or "
                          f"{proxy.remedy(address.host)}.")  # fmt: skip
    named = [f"{variable}={os.environ[variable]}" for variable in CERTIFICATES if os.environ.get(variable)]
    reason = " ".join(str(error).split()) or type(error).__name__
    if named and isinstance(error, OSError):  # ssl.SSLError is one
        return UsageError(
            f"{' and '.join(named)} holds no certificates that can be read ({reason}): correct or unset it."
        )
    if proxy is not None:
        return UsageError(f"{proxy} cannot be used ({reason}): {proxy.remedy(address.host)}.")
    return UsageError(f"{address.place}: no connection can be prepared ({reason}).")


def untrusted_remedy() -> str:
    """What to do about a certificate that is not trusted."""
    named = [f"{variable}={os.environ[variable]}" for variable in CERTIFICATES if os.environ.get(variable)]
    now = f"; it is {' and '.join(named)} now" if named else ""
    return f"name a file with the certificate of its authority in the environment variable SSL_CERT_FILE{now}"
