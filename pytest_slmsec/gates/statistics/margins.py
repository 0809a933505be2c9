"""Margins as they are written: ``2pt``, ``1%``, ``2% + 16MiB``."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.gates.statistics.size_threshold import Allowance

DEFAULT_MARGINS = {"MAD": 0.10, "F1": 0.05, "ROUGE-L v2": 0.02, "ROUGE-L v2 zh": 0.02, "facts": 0.05,
                   "field F1": 0.05, "accuracy of logs": 0.05}  # fmt: skip
"""Tolerated change of metrics whose scale says little about what matters, in their own unit."""

RECORDED_FACTOR = 1.5
METRIC_UNITS = {"MAD": "CVSS points"}
"""Units of metrics whose scale is not 1."""

_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(pt|pts|points|%)\s*")
_BYTES = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(B|KiB|MiB|GiB)\s*")
_RECORDED = re.compile(r"\s*recorded\s*(?:\*\s*([0-9]+(?:\.[0-9]+)?)\s*)?")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True, slots=True)
class Margin:
    """A tolerated drop: `share` of the scale (0.02 is 2 points), or of what the base scores where `relative`."""

    share: float
    relative: bool = False

    def of(self, base_score: float) -> float:
        """As a share of the scale, for a base that scores `base_score` (a share of the scale as well)."""
        return self.share * base_score if self.relative else self.share


def read_margin(value: Any, where: str) -> Margin:
    """``"2pt"`` (points of the scale) or ``"1%"`` (of what the base scores).

    Raises:
        UsageError: something else, or outside (0, 100).
    """
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise UsageError(f'{where} = {value!r}: write "2pt" (points) or "1%" (of what the base scores).')
    return Margin(_hundredths(match[1], value, where), match[2] == "%")


def read_percent(value: Any, where: str) -> float:
    """``"5%"`` as 0.05.

    Raises:
        UsageError: something else, or outside (0, 100).
    """
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is None or match[2] != "%":
        raise UsageError(f'{where} = {value!r}: write a percentage such as "5%".')
    return _hundredths(match[1], value, where)


def _hundredths(digits: str, value: str, where: str) -> float:
    number = float(digits)
    if not 0 < number < 100:
        raise UsageError(f"{where} = {value!r}: a margin must lie strictly between 0 and 100.")
    return number / 100


def read_allowance(value: Any, where: str) -> Allowance:
    """``"2%"``, ``"16MiB"`` or ``"2% + 16MiB"``.

    Raises:
        UsageError: something else.
    """
    share, extra = 0.0, 0.0
    for part in value.split("+") if isinstance(value, str) else [""]:
        percent, size = _AMOUNT.fullmatch(part), _BYTES.fullmatch(part)
        if percent is not None and percent[2] == "%":
            share += float(percent[1]) / 100
        elif size is not None:
            extra += float(size[1]) * _UNITS[size[2]]
        else:
            raise UsageError(f'{where} = {value!r}: write "2%", "16MiB" or "2% + 16MiB".')
    return Allowance(share, round(extra))


@dataclass(frozen=True, slots=True)
class Recorded:
    """A budget that an accepted build sets: `factor` times what was measured of it."""

    factor: float


def read_budget(value: Any, where: str) -> float | Recorded:
    """``0.05``, ``"recorded"`` or ``"recorded*1.5"``.

    Raises:
        UsageError: something else.
    """
    match = _RECORDED.fullmatch(value) if isinstance(value, str) else None
    if match is None and isinstance(value, str):
        raise UsageError(f'{where} = {value!r}: write nats a token, such as 0.05, or "recorded*1.5" for 1.5 times what '
                         "the accepted build showed.")  # fmt: skip
    if match is None:
        return read_amount(value, where)
    factor = float(match[1] or RECORDED_FACTOR)
    if not factor >= 1:
        raise UsageError(f"{where} = {value!r}: a factor below 1 refuses the accepted build itself.")
    return Recorded(factor)


def read_amount(value: Any, where: str) -> float:
    """A positive number in the unit of the metric (0.10 CVSS points).

    Raises:
        UsageError: something else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (math.isfinite(value) and value > 0):
        raise UsageError(f"{where} = {value!r}: write a positive number in the unit of the metric, such as 0.10.")
    return float(value)
