"""The licences of what a bundle is about: this project, the models, the sources of the items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Any

from pytest_slmsec.core.errors import DataUnavailable
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.paths import PACKAGE
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun

UNKNOWN = "not known here: see where the model comes from"


def own_licence() -> bytes:
    """The text of this project's licence, from the checkout or the installed package.

    Raises:
        DataUnavailable: the installation lacks it.
    """
    file = PACKAGE.parent / "LICENSE"
    if file.is_file():
        return file.read_bytes()
    try:
        text = metadata.distribution("pytest-slmsec").read_text("licenses/LICENSE")
    except metadata.PackageNotFoundError:
        text = None
    if text is None:
        raise DataUnavailable("The licence of pytest-slmsec is not installed with it; install pytest-slmsec again.")
    return text.encode("utf-8")


def licences(
    models: Sequence[ModelSpec], runs: Sequence[BenchmarkRun], registry: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Licence of each model, where the registry knows it, and the source of each benchmark's items."""
    of_models = {spec.name: registry.get(spec.base, {}).get("licence", UNKNOWN) for spec in models}
    return {
        "pytest-slmsec": "LICENSE.txt",
        "models": of_models,
        "items": {run.benchmark: str(run.facts.get("source", "not recorded")) for run in runs},
        "note": "The bundle holds ids, right answers and models' answers, and no published question.",
    }
