"""Small model directories that travel to replicas in memory, by their content.

A replica writes them into its cache once, under the digest of their content. Directories above `LARGEST_BYTES` do not
travel: they must stand under the same path on each node (a shared file system), and the digest of the loaded weights
shows whether they are the same.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pytest_slmsec.core.models import ModelSpec

LARGEST_BYTES = 256 << 20
Part = Literal["model", "adapter"]


@dataclass(frozen=True, slots=True)
class Packed:
    """All files of a directory, or one file.

    Attributes:
        part: what of a model it is. name: of the directory or file.
        files: contents by path below the directory; the path of a single file is empty.
        sha256: digest of paths and contents.
    """

    part: Part
    name: str
    files: tuple[tuple[str, bytes], ...]
    sha256: str

    def placed(self, spec: ModelSpec, place: Path) -> ModelSpec:
        """The model with this part at another place."""
        if self.part == "model":
            return replace(spec, location=str(place))
        assert spec.adapter is not None
        return replace(spec, adapter=replace(spec.adapter, location=str(place)))


def pack_model(spec: ModelSpec, largest_bytes: int = LARGEST_BYTES) -> tuple[Packed, ...]:
    """The parts of a model that stand on this machine and are small enough to travel."""
    places: list[tuple[Part, str]] = []
    if spec.source == "path":
        places.append(("model", spec.location))
    if spec.adapter is not None and spec.adapter.source == "path":
        places.append(("adapter", spec.adapter.location))
    found = (_pack(part, Path(place), largest_bytes) for part, place in places)
    return tuple(one for one in found if one is not None)


def _pack(part: Part, place: Path, largest_bytes: int) -> Packed | None:
    paths = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
    if not paths or sum(path.stat().st_size for path in paths) > largest_bytes:
        return None
    root = place if place.is_dir() else place.parent
    files = tuple((path.relative_to(root).as_posix(), path.read_bytes()) for path in paths)
    digest = hashlib.sha256()
    for name, content in files:
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return Packed(part, "" if place.is_dir() else place.name, files, digest.hexdigest())


def unpack(packed: Packed, folder: Path) -> Path:
    """Write the files below `folder`, where they are not there yet, and return the directory or file.

    Other processes see them whole or not at all.
    """
    target = folder / packed.sha256
    if not target.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        try:
            for name, content in packed.files:
                path = draft / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            os.rename(draft, target)
        except OSError:
            if not target.is_dir():  # otherwise another process was faster
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return target / packed.name
