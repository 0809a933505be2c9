"""Content digests of weight files. The digest of a large file is cached until the file changes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from pytest_slmsec.core.identity import sha256_file, sha256_json

SMALL_FILE_BYTES = 32 << 20
"""Files up to this size are always read, which takes less than 0.1 seconds; only larger ones are cached."""


def weights_sha256(paths: Iterable[Path], cache_dir: Path) -> str:
    """Digest over names and contents of weight files.

    The digest of a large file is remembered under its path, size, inode and time stamps in
    ``cache_dir/file-digests.json``.
    """
    store = cache_dir / "file-digests.json"
    known = _read(store)
    digests: dict[str, str] = {}
    for path in paths:
        stamp = _stamp(path)
        digest = known.get(stamp) or sha256_file(path)
        digests[path.name] = digest
        if path.stat().st_size > SMALL_FILE_BYTES and stamp not in known:
            known[stamp] = digest
            _write(store, known)
    return sha256_json(digests)


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{path.resolve()}:{stat.st_size}:{stat.st_ino}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"


def _read(store: Path) -> dict[str, str]:
    try:
        known = json.loads(store.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # a missing or damaged cache only costs time: the files are read again
    return known if isinstance(known, dict) else {}


def _write(store: Path, known: dict[str, str]) -> None:
    store.parent.mkdir(parents=True, exist_ok=True)
    draft = store.with_name(f"{store.name}.{os.getpid()}")
    draft.write_text(json.dumps(known, indent=0), "utf-8")
    draft.replace(store)
