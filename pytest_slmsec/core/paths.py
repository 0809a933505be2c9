"""Where things lie on this machine: the fixtures that ship with the project, and the cache."""

from __future__ import annotations

import os
from pathlib import Path

from pytest_slmsec.core.errors import DataUnavailable

PACKAGE = Path(__file__).resolve().parent.parent


def fixtures_dir() -> Path:
    """The folder `fixtures/`: inside the installed package, or beside it in a checkout.

    Raises:
        DataUnavailable: the installation lacks it.
    """
    for place in (PACKAGE / "_fixtures", PACKAGE.parent / "fixtures"):
        if place.is_dir():
            return place
    raise DataUnavailable(
        f"The embedded model and items are neither in {PACKAGE / '_fixtures'} nor in {PACKAGE.parent / 'fixtures'}: "
        "the installation is incomplete; install pytest-slmsec again."
    )


def cache_dir() -> Path:
    """The folder for what can be made again (quantised models, file digests): `$SLMSEC_CACHE`, else
    `$XDG_CACHE_HOME/slmsec`, else `~/.cache/slmsec`. It is not created here."""
    if own := os.environ.get("SLMSEC_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "slmsec"


def relative_to(path: Path, root: Path) -> Path:
    """`path` as seen from `root` where it lies below it, else as it is."""
    return path.relative_to(root) if path.is_relative_to(root) else path
