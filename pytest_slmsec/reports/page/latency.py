"""How long? Quantiles of the seconds of each item on a log axis, and of the peak of memory of each batch."""

from __future__ import annotations

from pytest_slmsec.reports.page.axes import WIDTH, Scale, around, framed
from pytest_slmsec.reports.page.boxes import Axis, Box, as_table, boxes, ends, pictures
from pytest_slmsec.reports.page.markup import Markup, paragraph, section
from pytest_slmsec.reports.page.numbers import bytes_text, seconds_text
from pytest_slmsec.reports.page.records import Report

NAMES, VALUES = 190.0, 100.0
MIB = 2**20
NO_TIMES = "No times are recorded."
NO_MEMORY = "The memory of each batch is not recorded; the peak of each benchmark is among the costs."


def seconds(report: Report) -> list[Box]:
    """Seconds of an item, of each benchmark and model whose times are recorded."""
    return boxes(report, {key: record.seconds.get(key, []) for key, (record, _) in report.newest.items()})


def memory(report: Report) -> list[Box]:
    """The peak of each batch in bytes, of each benchmark and model whose batches are recorded."""
    return boxes(report, {key: record.memory.get(key, []) for key, (record, _) in report.newest.items()})


def latency_section(report: Report) -> Markup:
    """Pictures and tables, as far as times and memory are recorded."""
    return section("latency", "How long?", *_seconds(report), *_memory(report))


def _seconds(report: Report) -> list[Markup]:
    rows = seconds(report)
    if not rows:
        return [paragraph(NO_TIMES)]
    scale = around(ends(rows), NAMES, WIDTH - VALUES, log=True)
    axis = Axis("Seconds of an item", "seconds an item: least, quartiles, most (log axis)", scale, seconds_text)
    return [framed(*pictures(report, rows, axis, "latency")), as_table(rows, axis, "Seconds")]


def _memory(report: Report) -> list[Markup]:
    rows = memory(report)
    if not rows:
        return [paragraph(NO_MEMORY)]
    title, label = "Peak of memory of a batch", "MiB at the peak of a batch: least, quartiles, most"
    axis = Axis(title, label, _from_zero(ends(rows)), bytes_text, lambda value: f"{value / MIB:,.0f}")
    return [framed(*pictures(report, rows, axis, "memory")), as_table(rows, axis, "Memory")]


def _from_zero(values: list[float]) -> Scale:
    """An axis from 0, with round numbers of MiB on it."""
    return BinaryScale(0, max(values) * 1.05, NAMES, WIDTH - VALUES)


class BinaryScale(Scale):
    """A scale of bytes that has its ticks at round numbers of MiB."""

    def ticks(self, most: int = 6) -> list[float]:
        """Round numbers of MiB between the ends, in bytes."""
        return [MIB * value for value in Scale(self.low / MIB, self.high / MIB, 0, 1).ticks(most)]
