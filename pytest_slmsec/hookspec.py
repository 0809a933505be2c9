"""Extension points for other packages and conftests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_slmsec.core.models import ModelSpec
    from pytest_slmsec.engines.common.base import Engine
    from pytest_slmsec.engines.common.settings import EngineSettings


@pytest.hookspec
def pytest_slmsec_models(config: pytest.Config) -> Mapping[str, Mapping[str, Any]]:  # type: ignore[empty-body]
    """More models for ``--model``: names to the keys of `pytest_slmsec.core.models.ModelSpec` (at least `location`)."""


@pytest.hookspec(firstresult=True)
def pytest_slmsec_make_engine(config: pytest.Config, spec: ModelSpec, settings: EngineSettings) -> Engine | None:
    """Load a model with an engine of your own; return None to leave it to the built-in engines."""


@pytest.hookspec
def pytest_slmsec_finished(config: pytest.Config, record: Mapping[str, Any]) -> None:
    """A run has ended, and its files are written. Called once, in the main process, if something was measured; also
    without pytest-benchmark, and after an interruption.

    Args:
        record: a copy in JSON types. ``exit_status``: of pytest. ``slmsec``: answers, as in ``--benchmark-json``.
            ``facts``: of each complete benchmark and model, the `extra_info` of its entry with both names.
            ``judgements``: of the gate, as in ``--slmsec-json``; empty where nothing was judged. See docs/records.md.
    """
