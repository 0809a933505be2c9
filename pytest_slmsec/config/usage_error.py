"""How pytest is told that an option, a marker or the configuration cannot be used."""

from __future__ import annotations

import pytest

from pytest_slmsec.core.wrap import for_stderr

PREFIX = "ERROR: "
"""What pytest writes before the message (`_pytest.config.main`)."""


def usage_error(said: object) -> pytest.UsageError:
    """The exception that ends a run, its message as wide as the terminal that it is written to."""
    return pytest.UsageError(for_stderr(f"{PREFIX}{said}").removeprefix(PREFIX))
