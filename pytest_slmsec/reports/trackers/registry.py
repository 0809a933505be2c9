"""The trackers by name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from pytest_slmsec.reports.trackers.logged import Tracker

TRACKERS = {"mlflow": "mlflow_", "wandb": "wandb_"}
"""Name, as `--to` and the extra of `pyproject.toml` have it, to the module of this package."""


def tracker(name: str) -> Tracker:
    """A tracker; its own package is imported when it logs."""
    return cast(Tracker, import_module(f"{__package__}.{TRACKERS[name]}"))
