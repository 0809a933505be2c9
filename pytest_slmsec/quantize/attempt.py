"""The library that quantises, kept quiet, and its failure as one sentence."""

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
    """Run what quantises `base` without its prints, logs and warnings.

    Raises:
        QuantizeError: whatever was raised inside, with the base, the quantisation and the package in front.
    """
    try:
        with quiet():
            yield
    except Exception as error:
        raise QuantizeError(
            f"{base} could not be quantised to {recipe.quant} by {recipe.package}: "
            f"{type(error).__name__}: {first_line(error)}."
        ) from error
