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
