"""MLflow: where ``MLFLOW_TRACKING_URI`` says, otherwise its own default, a SQLite file in the current folder.

API: https://mlflow.org/docs/latest/api_reference/python_api/mlflow.client.html. The client is used and not the fluent
functions, because those add the command line, the user and the Git remote to each run.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pytest_slmsec.core.errors import MissingExtraError, TrackerError
from pytest_slmsec.reports.trackers.logged import EXPERIMENT, LoggedModel

VARIABLE = "MLFLOW_EXPERIMENT_NAME"
FORBIDDEN = re.compile(r"[^\w\-. :/]")
"""What a name of a metric or parameter may not hold (mlflow.utils.validation)."""
LONGEST = 6000
"""Characters of a parameter."""
BATCH = 100
"""Parameters in one request; of metrics 1,000 are allowed."""
One = TypeVar("One")


def log(model: LoggedModel, files: list[Path], experiment: str | None) -> str:
    """Store one run; see `logged.Tracker.log`."""
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingExtraError("--to=mlflow", "mlflow-skinny", "mlflow") from error
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)  # each table that a new store makes
    logging.getLogger("alembic").setLevel(logging.WARNING)
    client = None
    try:
        client = MlflowClient()
        return _log(client, model, files, experiment or os.environ.get(VARIABLE) or EXPERIMENT)
    except Exception as error:  # its stores and HTTP clients raise errors of their own
        where = "" if client is None else f" at {_without_login(client.tracking_uri)}"
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrackerError(f"MLflow{where} did not take the run of {model.model}: {_without_login(said)}; "
                           "MLFLOW_TRACKING_URI says where it is.") from error  # fmt: skip


def _log(client: Any, model: LoggedModel, files: Sequence[Path], name: str) -> str:
    from mlflow.entities import Metric, Param

    experiment = client.get_experiment_by_name(name)
    number = client.create_experiment(name) if experiment is None else experiment.experiment_id
    time_ms = _milliseconds(model.date)
    run = client.create_run(number, start_time=time_ms, run_name=model.model).info.run_id
    try:
        metrics = [Metric(_allowed(key), value, time_ms, 0) for key, value in model.metrics.items()]
        params = [Param(_allowed(key), value[:LONGEST]) for key, value in model.parameters.items()]
        for some_metrics in _parts(metrics):
            client.log_batch(run, metrics=some_metrics)
        for some_params in _parts(params):
            client.log_batch(run, params=some_params)
        for file in files:
            client.log_artifact(run, str(file))
    except BaseException:
        client.set_terminated(run, "FAILED")
        raise
    client.set_terminated(run, "FINISHED", time_ms)
    return f"{_without_login(client.tracking_uri)}, experiment {name}, run {run}"


def _allowed(name: str) -> str:
    return FORBIDDEN.sub("_", name)


def _parts(found: Sequence[One]) -> Iterator[Sequence[One]]:
    return (found[start : start + BATCH] for start in range(0, len(found), BATCH))


def _milliseconds(date: str) -> int:
    """The time of a record since 1970; now, where it is not known."""
    try:
        when = datetime.fromisoformat(date)
    except ValueError:
        when = datetime.now(UTC)
    return round(when.timestamp() * 1000)


def _without_login(text: str) -> str:
    """Text without the user and password of an address in it."""
    return re.sub(r"(\w+://)[^/@\s]*@", r"\1", text)
