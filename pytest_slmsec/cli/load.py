"""`pytest_slmsec.load`: stored runs as plain rows and pictures, for notebooks and scripts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pytest_slmsec.cli.read_report import judged, read_records
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.reports.page.distances import distances
from pytest_slmsec.reports.page.pictures import Picture, draw
from pytest_slmsec.reports.page.records import Report
from pytest_slmsec.reports.page.rows import cost_row, item_row, model_row, score_row

Row = dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class StoredRuns:
    """What stored runs hold. Of several runs of one benchmark on one model the newest counts.

    Attributes:
        report: the runs, without verdicts. data, preset: with which they are judged for a picture that needs verdicts.
    """

    report: Report
    data: str | None
    preset: str | None

    @property
    def items(self) -> list[Row]:
        """A row for each item and model: ``benchmark``, ``model``, and the columns of the record (docs/records.md)."""
        return [item_row(run, row) for run in self.report.runs for row in range(run.n)]

    @property
    def scores(self) -> list[Row]:
        """A row for each benchmark and model: score and its 95 % interval in the unit of the metric, items, and the
        best constant answer."""
        return [score_row(run) for run in self.report.runs]

    @property
    def costs(self) -> list[Row]:
        """A row for each benchmark and model: tokens a second, memory in bytes, seconds, joules; None: not measured."""
        return [cost_row(run) for run in self.report.runs]

    @property
    def models(self) -> list[Row]:
        """A row for each model over all its benchmarks; ``mean`` as a share on which 1 is best."""
        return [model_row(self._of(model)) for model in self.report.models]

    @property
    def distances(self) -> list[Row]:
        """A row for each item and candidate whose KL divergence from its base is known: ``kl`` in nats, and ``over``
        what it is; see `distances.ItemDistance`."""
        return [one._asdict() for one in distances(self._judged)]

    def plot(self, picture: str) -> Picture:
        """One picture of `slmsec plot`, by its name; a notebook draws it, ``str(picture)`` is the SVG.

        Raises:
            UsageError: there is no such picture, or the runs do not hold what it shows.
        """
        return draw(self._judged, picture)

    @cached_property
    def _judged(self) -> Report:
        return judged(self.report.records, Path.cwd(), self.data, self.preset)

    def _of(self, model: str) -> list[BenchmarkRun]:
        return [run for run in self.report.runs if run.model == model]

    def __repr__(self) -> str:
        """What is in it, in one line."""
        report, n = self.report, sum(run.n for run in self.report.runs)
        what = [
            counted(len(report.models), "model"),
            counted(len(report.benchmarks), "benchmark"),
            counted(n, "answer"),
        ]
        return f"<stored runs: {', '.join(what)}>"


def load(*runs: str | os.PathLike[str], data: str | None = None, preset: str | None = None) -> StoredRuns:
    """Read stored runs.

    Args:
        runs: files of ``--benchmark-json`` or ``--benchmark-autosave``, numbers (``0001``) of such runs, or other
            recorded answers; ``FILE::MODEL`` chooses one of several models.
        data: folder of the published files, with which recorded answers are scored (default: ``SLMSEC_DATA``).
        preset: of the gate, for pictures that show verdicts.

    Raises:
        SlmsecError: a run cannot be read or is damaged, or none is named.
    """
    found = data or os.environ.get("SLMSEC_DATA") or None
    names = [os.fspath(run) for run in runs]
    return StoredRuns(Report(read_records(names, Path.cwd(), found), ()), found, preset)
