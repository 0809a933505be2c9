"""The record of a fine-tuning beside a model or an adapter, and in the directories of models made from it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import ModelError
from pytest_slmsec.core.items import TRAINED_OVERLAP
from pytest_slmsec.engines.common.checkpoint import read_json

FINETUNED = "slmsec-finetune.json"
"""Name of the record."""


def read_finetuned(directory: Path) -> dict[str, Any]:
    """The record in a directory; {} where there is none.

    Raises:
        ModelError: it is damaged.
    """
    path = directory / FINETUNED
    return read_json(path) if path.is_file() else {}


def read_overlap(record: Mapping[str, Any]) -> dict[str, int]:
    """How many items of which benchmark stand in the training data, by a record; {} where none do.

    Raises:
        ModelError: the record is damaged.
    """
    found = (record.get("overlap") or {}).get("found") or {}
    if not isinstance(found, dict) or not all(isinstance(count, int) for count in found.values()):
        raise ModelError(f"{FINETUNED} is damaged: overlap.found must be numbers by benchmark: train the model again.")
    return {str(name): count for name, count in found.items()}


def overlap_facts(*directories: Path) -> dict[str, dict[str, int]]:
    """For the record of a run: what the models and adapters in some directories were trained on; {} where that is
    nothing."""
    found: dict[str, int] = {}
    for directory in directories:
        found |= read_overlap(read_finetuned(directory)) if directory.is_dir() else {}
    return {TRAINED_OVERLAP: found} if found else {}


def keep_record(source: Path, out: Path) -> None:
    """Copy the record into the directory of a model that was made from the one in `source`."""
    if (source / FINETUNED).is_file():
        shutil.copyfile(source / FINETUNED, out / FINETUNED)
