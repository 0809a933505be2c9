"""The pictures that can be had by themselves, each as one SVG file."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.reports.page import confidence, cost, flips, history, scores, verdict
from pytest_slmsec.reports.page.markup import Markup
from pytest_slmsec.reports.page.records import Report


def _gate(report: Report) -> Markup:
    drawn = [one for n, judgement in enumerate(report.judgements) for one in verdict.pictures(judgement, f"gate-{n}")]
    if len(drawn) != 1:
        raise UsageError(f"A picture of gates shows one candidate with up to {verdict.PAGE} gates, and these runs have "
                         f"{len(report.judgements)} candidates: name base and candidate with FILE::MODEL.")  # fmt: skip
    return drawn[0]


def _flips(report: Report) -> Markup:
    if not report.judgements:
        raise UsageError("These runs hold no candidate with its base, so nothing changed between two models.")
    return flips.picture_of_all(report)


def _reliability(report: Report) -> Markup:
    known = [one for one in confidence.calibrations(report) if one.bins]
    if not known:
        raise UsageError(confidence.NOTHING)
    return confidence.reliability(report, known)


def _history(report: Report) -> Markup:
    found = history.courses(report)
    if not found:
        raise UsageError(history.ONE_RUN)
    return history.history(report, found)


PICTURES: Mapping[str, Callable[[Report], Markup]] = {
    "forest": scores.picture_of_all,
    "gate": _gate,
    "flips": _flips,
    "pareto": cost.pareto,
    "reliability": _reliability,
    "history": _history,
}
"""By name. Each raises UsageError, in one sentence, where the runs do not hold what it shows."""


class Picture(Markup):
    """One picture as SVG, which a notebook draws."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Its title; ``str`` is the SVG."""
        return f"<picture: {html.unescape(self.partition('<title')[2].partition('>')[2].partition('<')[0])}>"

    def _repr_svg_(self) -> str:
        """What IPython asks for (ipython.readthedocs.io, "Rich display")."""
        return str(self)


def draw(report: Report, name: str) -> Picture:
    """One of `PICTURES`.

    Raises:
        UsageError: there is no such picture, or the runs do not hold what it shows.
    """
    if name not in PICTURES:
        raise UsageError(f"There is no picture {name!r}; there are {', '.join(PICTURES)}.")
    return Picture(PICTURES[name](report))
