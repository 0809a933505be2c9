"""What do I pay? The mean score of each model against size, memory and speed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from pytest_slmsec.reports.page.axes import (
    LINE,
    Scale,
    around,
    bottom_axis,
    colour,
    cut,
    frame,
    framed,
    line,
    mark,
    picture,
    words,
)
from pytest_slmsec.reports.page.markup import Markup, fold, join, paragraph, section, table
from pytest_slmsec.reports.page.numbers import UNKNOWN, bytes_text, percent, rate_text, seconds_text, three_digits
from pytest_slmsec.reports.page.records import Report
from pytest_slmsec.reports.page.rows import cost_row, model_row

TOP, BOTTOM = 12.0, 210.0
Row = Mapping[str, Any]


class Panel(NamedTuple):
    """One of the pictures side by side: what is paid, and whether less of it is better."""

    key: str
    label: str
    written: Callable[[float | None], str]
    start: float
    end: float
    less: bool = True


def _speed(tokens_per_s: float | None) -> str:
    return UNKNOWN if tokens_per_s is None else three_digits(tokens_per_s)


PANELS = (
    Panel("model_bytes", "size of the model", bytes_text, 52, 226),
    Panel("peak_bytes", "peak memory", bytes_text, 252, 426),
    Panel("decode_tokens_per_s", "decode speed, tokens/s", _speed, 452, 626, less=False),
)


def model_rows(report: Report) -> list[dict[str, Any]]:
    """One row a model, over its newest runs."""
    return [model_row([run for run in report.runs if run.model == model]) for model in report.models]


def cost_section(report: Report) -> Markup:
    """The picture, a table of the models, and one of the benchmarks."""
    rows = model_rows(report)
    drawn = pareto(report)
    models = [
        (row["model"], _mean(row), bytes_text(row["model_bytes"]), bytes_text(row["peak_bytes"]),
         rate_text(row["decode_tokens_per_s"]), seconds_text(row["load_s"]), _joules(row["energy_j"]))
        for row in rows
    ]  # fmt: skip
    headings = ("model", "mean score", "size", "peak memory", "decode tokens/s", "load time", "energy")
    explained = (
        "The mean score is that of all benchmarks of a model, each as a share of its scale on which 1 is best. The "
        "line joins models that no other one beats in both."
    )
    return section("cost", "What do I pay?", framed(drawn), paragraph(explained),
                   table(headings, models, "What each model costs"), _by_benchmark(report))  # fmt: skip


def _by_benchmark(report: Report) -> Markup:
    costs = [cost_row(run) for run in report.runs]
    cells = [
        (row["benchmark"], row["model"], rate_text(row["prefill_tokens_per_s"]), rate_text(row["decode_tokens_per_s"]),
         seconds_text(row["time_to_first_token_s"]), bytes_text(row["peak_bytes"]), _joules(row["energy_j"]))
        for row in costs
    ]  # fmt: skip
    headings = ("benchmark", "model", "prefill tokens/s", "decode tokens/s", "first token", "peak memory", "energy")
    return fold("Costs of each benchmark", table(headings, cells, "What each benchmark costs"))


def _joules(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f} J"


def _mean(row: Row) -> str:
    interval = "" if row["low"] is None else f" ({percent(row['low'])} .. {percent(row['high'])})"
    return f"{percent(row['mean'])}{interval}"


def pareto(report: Report) -> Markup:
    """The mean score of each model against each cost that is known."""
    rows = [row for row in model_rows(report) if row["mean"] is not None]
    ends = [row[key] for row in rows for key in ("mean", "low", "high") if row[key] is not None]
    upright = around(ends or [0.0, 1.0], BOTTOM - 6, TOP + 6, least=0.02)
    legend = [join(mark(report.number(row["model"]), 12, BOTTOM + 44 + LINE * n), words(24, BOTTOM + 48 + LINE * n,
              f"{cut(row['model'], 60)}: {_mean(row)}")) for n, row in enumerate(rows)]  # fmt: skip
    ticks = [words(46, upright.at(value) + 4, f"{100 * value:g} %", "end") for value in upright.ticks()]
    told = "; ".join(f"{row['model']}: mean score {_mean(row)}, {_costs(row)}" for row in rows)
    return picture("pareto", "Mean score against size, memory and speed", told, BOTTOM + 40 + LINE * len(rows), *ticks,
                   *(_panel(report, rows, panel, upright) for panel in PANELS), *legend)  # fmt: skip


def _costs(row: Row) -> str:
    return ", ".join(f"{panel.label} {panel.written(row[panel.key])}" for panel in PANELS if row[panel.key] is not None)


def _panel(report: Report, rows: Sequence[Row], panel: Panel, upright: Scale) -> Markup:
    known = [row for row in rows if row[panel.key]]
    box = frame(panel.start, TOP, panel.end - panel.start, BOTTOM - TOP)
    if not known:
        return join(box, words((panel.start + panel.end) / 2, 100, f"{panel.label}: not measured", "middle"))
    scale = around([row[panel.key] for row in known], panel.start + 10, panel.end - 10, log=True)
    points = [_point(report, row, panel, scale, upright) for row in known]
    steps = [line(scale.at(a[panel.key]), upright.at(a["mean"]), scale.at(b[panel.key]), upright.at(b["mean"]),
                  dashed=True) for a, b in _neighbours(front(known, panel))]  # fmt: skip
    axis = bottom_axis(_few_ticks(scale), TOP, BOTTOM, panel.label, panel.written)
    return join(box, axis, *steps, *points)


class _FewTicks(Scale):
    """A scale in a narrow panel: two ticks, which leave room for their texts."""

    def ticks(self, most: int = 6) -> list[float]:
        return [self.low ** (1 - share) * self.high**share for share in (0.18, 0.82)]


def _few_ticks(scale: Scale) -> Scale:
    return _FewTicks(scale.low, scale.high, scale.start, scale.end, scale.log)


def front(rows: Sequence[Row], panel: Panel) -> list[Row]:
    """The models that no other one beats in both score and cost, cheapest first."""
    sign = 1 if panel.less else -1
    found: list[Row] = []
    for row in sorted(rows, key=lambda row: (sign * row[panel.key], -row["mean"])):
        if not found or row["mean"] > found[-1]["mean"]:
            found.append(row)
    return found


def _neighbours(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    return list(pairwise(rows))


def _point(report: Report, row: Row, panel: Panel, scale: Scale, upright: Scale) -> Markup:
    number, x, y = report.number(row["model"]), scale.at(row[panel.key]), upright.at(row["mean"])
    bar = (
        None if row["low"] is None else line(x, upright.at(row["low"]), x, upright.at(row["high"]), colour(number), 1.5)
    )
    return join(bar, mark(number, x, y, f"{row['model']}: {_mean(row)}, {_costs(row)}"))
