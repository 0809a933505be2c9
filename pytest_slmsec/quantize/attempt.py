"""Run a library that quantises: nothing is printed, and a failure becomes one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pytest_slmsec.core.errors import QuantizeError
from pytest_slmsec.engines.common.loading import first_line
from pytest_slmsec.engines.common.quiet import quiet
from pytest_slmsec.quantize.manifest import Recipe


@contextmanager
def attempt(base: Path, recipe: Recipe) -> Iterator[None]:
    """Silence prints, logs and warnings of the enclosed code, which quantises `base`.

    Raises:
        QuantizeError: for any exception of the enclosed code; names the base, the quantisation and the package.
    """
    try:
        with quiet():
            yield
    except Exception as error:
        raise QuantizeError(
            f"{base} could not be quantised to {recipe.quant} by {recipe.package}: "
            f"{type(error).__name__}: {first_line(error)}."
        ) from error
