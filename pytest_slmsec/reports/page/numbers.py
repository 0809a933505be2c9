"""Numbers as the page writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_slmsec.reports.tables import size

UNKNOWN = "-"


def score_text(value: float | None, row: Mapping[str, Any]) -> str:
    """A score in the form of its metric: shares in percent, deviations in points."""
    if value is None:
        return UNKNOWN
    return percent(value) if row["scale"] == 1 else f"{value:.2f}"


def interval_text(row: Mapping[str, Any]) -> str:
    """The recorded 95 % interval of a score."""
    if row["score_low"] is None or row["score_high"] is None:
        return UNKNOWN
    return f"{score_text(row['score_low'], row)} .. {score_text(row['score_high'], row)}"


def percent(share: float | None) -> str:
    """A share of 1 in percent."""
    return UNKNOWN if share is None else f"{100 * share:.1f} %"


def bytes_text(n_bytes: float | None) -> str:
    """Bytes in the unit that reads best."""
    return UNKNOWN if n_bytes is None else size(round(n_bytes))


def rate_text(rate: float | None) -> str:
    """Tokens a second."""
    return UNKNOWN if rate is None else f"{rate:,.1f}"


def kl_text(nats: float | None) -> str:
    """A divergence with two digits that count; rounding makes any number below 1e-6."""
    if nats is None:
        return UNKNOWN
    return f"{nats:.2g}".replace("e-0", "e-") if nats >= 1e-6 else "<1e-6"


def three_digits(value: float) -> str:
    """A number with three digits that count, and all of its digits from 1,000 on."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def seconds_text(seconds: float | None) -> str:
    """A time with three digits that count."""
    if seconds is None:
        return UNKNOWN
    return f"{three_digits(seconds)} s" if seconds >= 0.9995 else f"{1000 * seconds:.3g} ms"
