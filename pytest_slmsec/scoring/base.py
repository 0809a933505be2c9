"""What a scorer and a metric are. One extractor or metric stands in one module beside this one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pytest_slmsec.core.choices import Mode as Mode
from pytest_slmsec.core.items import Item, Output, Score


class Scorer(Protocol):
    """Turns the output for one item into a score. Pure; never raises for any text a model may write."""

    def __call__(self, item: Item, output: Output, mode: Mode) -> Score:  # noqa: D102
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """The aggregate of one benchmark and model.

    Attributes:
        value: the headline number in `unit` terms (accuracy and F1 as a share of 1; MAD in CVSS points).
        low, high: bounds of the two-sided 95 % interval, same unit; None where none can be given (n = 0).
        n: items in the denominator. valid: items whose answer was parsed (of all items).
        extras: further aggregates (``micro_f1``, ``plausible``, ``p_correct``); None: not available in this run.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    valid: int
    extras: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Metric:
    """How item scores become one number.

    Attributes:
        name: as printed: ``accuracy``, ``MAD``, ``F1``.
        aggregate: scores of all items of a benchmark, and the mode, to a `Result`.
        higher_is_better: direction.
        scale: size of the whole scale (1 for accuracy and F1, 10 for CVSS points): worst minus best.
        binary: the number is the share of the right (or, where lower is better, of the wrong) answers, so that the gate
            counts answers instead of averaging values.
        tell_extras: the extras of the result are printed below the tables.
    """

    name: str
    aggregate: Callable[[Sequence[Score], Mode], Result]
    higher_is_better: bool = True
    scale: float = 1.0
    binary: bool = False
    tell_extras: bool = False
