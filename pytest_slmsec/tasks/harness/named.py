"""Any task of `lm_eval` as a benchmark, by name: what a registry line says of the known ones is read from its file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pytest_slmsec.core.errors import MissingExtraError, UsageError
from pytest_slmsec.scoring.base import Metric
from pytest_slmsec.scoring.metrics import METRICS, aggregate_mass
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.baselines import modal_gold
from pytest_slmsec.tasks.harness.definition import EXTRA, PACKAGE, Definition, tasks_folder
from pytest_slmsec.tasks.harness.loading import check_supported, stock_config
from pytest_slmsec.tasks.harness.names import OPTION, expand, task_files
from pytest_slmsec.tasks.harness.task import harness_task

DEFAULT_METRICS = {
    "multiple_choice": ("acc", "acc_norm"),
    "loglikelihood": ("acc",),
    "generate_until": ("exact_match",),
}
"""What the package measures where a definition lists no metrics (`lm_eval.api.registry.DEFAULT_METRIC_REGISTRY`), those
among it that are averages."""
AVERAGED = ("acc", "acc_norm", "exact_match")
"""Metrics that the package averages unless told otherwise."""


def named_tasks(name: str) -> list[Task]:
    """The benchmarks that a name on the command line stands for.

    Raises:
        UsageError: there is no such task, or it asks for what is not measured here.
        MissingExtraError: the package is not installed.
    """
    if not tasks_folder().is_dir():
        raise MissingExtraError(f"{OPTION}={name}", PACKAGE, EXTRA)
    return [_named_task(member) for member in expand(name)]


@cache
def _named_task(name: str) -> Task:
    path = task_files().get(name)
    if path is None:
        raise UsageError(f"{OPTION}={name}: this task has no definition of its own in lm_eval; name another one.")
    config = stock_config(path)
    check_supported(name, config)
    kind = str(config.get("output_type", "generate_until"))
    metric = _metric(name, config, kind)
    definition = Definition(
        name,
        str(path),
        _split(name, config),
        _headline(metric, config),
        _shots_split(config),
        config.get("dataset_name"),
    )
    return harness_task(
        definition,
        METRICS[metric] if metric in AVERAGED and not config.get("process_results") else Metric(metric, aggregate_mass),
        0,
        _dataset(config),
        "main",
        constant=modal_gold if kind == "multiple_choice" and metric in AVERAGED else None,
        generates=kind == "generate_until",
    )


def _split(name: str, config: Mapping[str, Any]) -> str:
    split = config.get("test_split") or config.get("validation_split")
    if not split:
        raise UsageError(f"{OPTION}={name}: its definition names neither a test nor a validation split.")
    return str(split)


def _shots_split(config: Mapping[str, Any]) -> str | None:
    """Where examples come from, in the order in which `ConfigurableTask.fewshot_docs` looks."""
    listed = (config.get("fewshot_config") or {}).get("samples")
    if not config.get("num_fewshot") or listed:
        return None
    keys = ("fewshot_split", "training_split", "validation_split", "test_split")
    return next((str(config[key]) for key in keys if config.get(key)), None)


def _dataset(config: Mapping[str, Any]) -> str | None:
    """The data set on the hub; None where the definition reads it in a way of its own."""
    options = set(config.get("dataset_kwargs") or {}) - {"trust_remote_code"}
    return None if options or config.get("custom_dataset") else config.get("dataset_path")


def _metric(name: str, config: Mapping[str, Any], kind: str) -> str:
    listed = config.get("metric_list") or [{"metric": metric} for metric in DEFAULT_METRICS[kind]]
    names = [str(entry["metric"]).rpartition(".")[2] for entry in listed if _is_average(entry)]
    if not names:
        raise UsageError(f"{OPTION}={name}: none of its metrics is an average over documents; name another task.")
    return "acc_norm" if "acc_norm" in names else names[0]


def _is_average(entry: Mapping[str, Any]) -> bool:
    averaged = entry.get("aggregation", "mean" if entry["metric"] in AVERAGED else None)
    return averaged == "mean" and entry.get("higher_is_better", True) is not False


def _headline(metric: str, config: Mapping[str, Any]) -> str:
    filters = [entry["name"] for entry in config.get("filter_list") or ()]
    return f"{metric},{filters[0]}" if len(filters) > 1 else metric
