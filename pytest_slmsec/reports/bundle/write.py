"""A bundle on disk: a folder, or a zip whose bytes depend on its files alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from pytest_slmsec.core.errors import UsageError

ZIP = ".zip"
FIRST_DATE = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold; all files have it."""
READABLE = 0o100644 << 16


def write_bundle(place: Path, files: Mapping[str, bytes]) -> None:
    """Write all files into a new folder, or into a zip where the name ends so.

    The files of a zip are stored and not compressed, since compressed bytes differ between versions of zlib.

    Raises:
        UsageError: something stands there already, or it cannot be written.
    """
    if place.exists() and (place.suffix == ZIP or not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{place} exists already: name another place, or remove it first.")
    try:
        if place.suffix == ZIP:
            _zip(place, files)
        else:
            _folder(place, files)
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror or error}.") from error


def _folder(place: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _zip(place: Path, files: Mapping[str, bytes]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, FIRST_DATE)
            info.external_attr = READABLE
            info.create_system = 3
            archive.writestr(info, files[name])
