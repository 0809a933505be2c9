"""Packages that only some parts need: an extra of this project brings each."""

from __future__ import annotations

from importlib.util import find_spec

from pytest_slmsec.core.errors import MissingExtraError

DISTRIBUTIONS = {"llama_cpp": "llama-cpp-python", "compressed_tensors": "compressed-tensors", "grpc": "grpcio"}
"""What pip calls a package, where that is not the name it is imported by."""


def require(what: str, extra: str, *packages: str) -> None:
    """See that packages are there, without importing them.

    Args:
        what: needs them, for the message. extra: brings them. packages: as they are imported.

    Raises:
        MissingExtraError: names the first that is not.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(what, DISTRIBUTIONS.get(package, package), extra)
