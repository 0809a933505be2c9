"""pytest-slmsec: decide with pytest whether a small language model may go into a SOC.

The public names are those of a user's own benchmark, and `load` for what a run stored. Each is imported on first use,
so that a test session without this plugin's options pays nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_slmsec.cli.load import load as load
    from pytest_slmsec.core.errors import FeasibilityWarning as FeasibilityWarning
    from pytest_slmsec.core.errors import SlmsecError as SlmsecError
    from pytest_slmsec.core.items import Answer as Answer
    from pytest_slmsec.core.items import Item as Item
    from pytest_slmsec.core.items import Output as Output
    from pytest_slmsec.core.items import Score as Score
    from pytest_slmsec.core.version import __version__ as __version__
    from pytest_slmsec.scoring.base import Metric as Metric
    from pytest_slmsec.scoring.base import Mode as Mode
    from pytest_slmsec.tasks.base import Task as Task

_HOMES = {
    "Answer": "core.items",
    "FeasibilityWarning": "core.errors",
    "Item": "core.items",
    "Metric": "scoring.base",
    "Mode": "scoring.base",
    "Output": "core.items",
    "Score": "core.items",
    "SlmsecError": "core.errors",
    "Task": "tasks.base",
    "__version__": "core.version",
    "load": "cli.load",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
