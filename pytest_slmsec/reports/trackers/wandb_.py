"""Weights & Biases: its server, or with ``WANDB_MODE=offline`` the folder ``wandb``, which ``wandb sync`` sends later.

API: https://docs.wandb.ai/ref/python. What W&B collects of its own accord (command line, Git remote, source, console,
load of the machine) stays out: a run is a stored record and not this process.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pytest_slmsec.core.errors import MissingExtraError, TrackerError
from pytest_slmsec.reports.trackers.logged import EXPERIMENT, LoggedModel

VARIABLE = "WANDB_PROJECT"
QUIET = {"silent": True, "console": "off", "disable_git": True, "disable_code": True, "save_code": False,
         "x_disable_stats": True, "x_disable_meta": True, "x_save_requirements": False}  # fmt: skip
REMEDY = "`wandb login` makes a key known, and WANDB_MODE=offline needs none"


def log(model: LoggedModel, files: list[Path], experiment: str | None) -> str:
    """Store one run; see `logged.Tracker.log`."""
    try:
        import wandb
    except ImportError as error:
        raise MissingExtraError("--to=wandb", "wandb", "wandb") from error
    try:
        return _log(wandb, model, files, experiment or os.environ.get(VARIABLE) or EXPERIMENT)
    except Exception as error:  # its service and HTTP clients raise errors of their own
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrackerError(f"W&B did not take the run of {model.model}: {said}; {REMEDY}.") from error


def _log(wandb: Any, model: LoggedModel, files: list[Path], project: str) -> str:
    config = {**model.parameters, "date": model.date}
    run = wandb.init(project=project, name=model.model, config=config, reinit="finish_previous",
                     settings=wandb.Settings(**QUIET))  # fmt: skip
    with run:
        run.log(dict(model.metrics))
        artifact = wandb.Artifact(f"slmsec-{run.id}", "slmsec")
        for file in files:
            artifact.add_file(str(file))
        run.log_artifact(artifact)
        where = f"{run.settings.sync_dir} (offline; send it with `wandb sync`)" if run.offline else run.url
    return f"{where}, project {project}"
