"""The tables of scores and costs, drawn by rich to the width of the terminal."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple

from pytest_slmsec.core.wrap import folded, wrapped
from pytest_slmsec.reports.evaluation_results import Cost, EvaluationResult, over_all_benchmarks
from pytest_slmsec.scoring.base import Result
from pytest_slmsec.scoring.metrics import ACCURACY

WIDE = 132
CONSTANT_WIDTH = 13
LEAST_WIDTH = 12
MOST_NAMED = 4
PARTS = re.compile(r"[^-@:/+~,]*[-@:/+~,]|[^-@:/+~,]+")
"""Of a benchmark's or model's name, each with the mark behind it."""
UNKNOWN = "-"


class Row(NamedTuple):
    """What the columns draw from."""

    evaluated: EvaluationResult
    result: Result | None
    cost: Cost


class Column(NamedTuple):
    """A column: heading, the cell of a model, the table it belongs to, its cell in the line of the benchmark, and which
    rows need it; without any, it is left out."""

    heading: str
    cell: Callable[[Row], str]
    part: str
    title: Callable[[Row], str] = lambda row: ""
    needed: Callable[[Row], bool] = lambda row: True


def number(value: float | None, digits: int = 1) -> str:
    """A number with thousands separated, or a dash for what is not known."""
    return UNKNOWN if value is None else f"{value:,.{digits}f}"


def size(n_bytes: int | None) -> str:
    """Bytes in the binary unit that reads best."""
    if n_bytes is None:
        return UNKNOWN
    value, units = float(n_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 999.5 and len(units) > 1:  # from there on three digits are rounded to 1e+03
        value /= 1024
        units.pop(0)
    return f"{value:.3g} {units[0]}"


def score(row: Row, value: float | None) -> str:
    """A score in the metric's usual form: shares in percent, deviations in points."""
    if value is None:
        return UNKNOWN
    return f"{100 * value:.1f} %" if row.evaluated.header["scale"] == 1 else f"{value:.2f}"


def _items(row: Row) -> str:
    evaluated = row.evaluated
    measured = len(row.evaluated.rows) - evaluated.n_errors
    return str(measured) if evaluated.complete else f"{measured}/{evaluated.n_expected}"


def _score(row: Row) -> str:
    return score(row, row.result.value if row.result else None)


def _interval(row: Row) -> str:
    result = row.result
    if result is None or result.low is None or result.high is None:
        return UNKNOWN
    return f"{score(row, result.low)} .. {score(row, result.high)}".replace(" % ..", " ..")


def _constant(row: Row) -> str:
    constant = row.evaluated.header.get("constant")
    if constant is None:
        return UNKNOWN
    from rich.cells import cell_len, set_cell_size

    text = f"{score(row, constant['value'])} {constant['answer']}".rstrip()
    if cell_len(text) <= CONSTANT_WIDTH:  # Chinese characters are two cells wide
        return text
    return set_cell_size(text, CONSTANT_WIDTH - 1).rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _seconds(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f} s"


def _engine(row: Row, key: str) -> Any:
    return (row.evaluated.header.get("engine") or {}).get(key)


def _is_streamed(row: Row) -> bool:
    """Whether answers were timed one by one; the time to the first token of a whole batch is its prefill."""
    streamed = (_engine(row, "extra") or {}).get("streamed") or {}
    return any(parameters is not None for parameters in streamed.values())


SCORES, COSTS = "scores", "costs"
COLUMNS = (
    Column("items", _items, SCORES),
    Column("valid", lambda row: UNKNOWN if row.result is None else str(row.result.valid), SCORES),
    Column("score", _score, SCORES, lambda row: row.evaluated.header.get("metric", UNKNOWN)),
    Column("95 % interval", _interval, SCORES),
    Column("constant", lambda row: "", SCORES, _constant),
    Column("prefill\ntok/s", lambda row: number(row.cost.prefill_tokens_per_s, 0), COSTS),
    Column("decode\ntok/s", lambda row: number(row.cost.decode_tokens_per_s, 0), COSTS),
    Column("first\ntoken", lambda row: _seconds(row.cost.time_to_first_token_s), COSTS, needed=_is_streamed),
    Column("peak\nmemory", lambda row: size(row.cost.peak_bytes), COSTS),
    Column("model\nsize", lambda row: size(_engine(row, "model_bytes")), COSTS),
    Column("load\ntime", lambda row: _seconds(_engine(row, "load_s")), COSTS),
)


@dataclass(frozen=True)
class Name:
    """A name in the first column, drawn by rich. One that is too long goes on in further lines. It is broken behind the
    marks in names (such as ``-`` and ``/``), and inside a word only if the word alone is too long."""

    text: str
    indent: str = ""

    def __rich_measure__(self, console: Any, options: Any) -> Any:
        from rich.cells import cell_len
        from rich.measure import Measurement

        return Measurement(min(LEAST_WIDTH, most := cell_len(self.indent + self.text)), most)

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        yield Text("\n".join(self.lines(options.max_width)), no_wrap=True, overflow="fold")

    def lines(self, width: int) -> list[str]:
        """Lines of at most `width` cells, the second and further ones indented by two more blanks."""
        from rich.cells import cell_len, chop_cells

        lines, further = [self.indent], f"{self.indent}  "
        for part in PARTS.findall(self.text):
            if cell_len(lines[-1] + part) > width and lines[-1].strip():
                lines.append(further)
            first = chop_cells(part, max(width - cell_len(lines[-1]), 1))[0]
            lines[-1] += first
            lines += (further + rest for rest in chop_cells(part[len(first) :], max(width - cell_len(further), 1)))
        return lines


def tables(results: Sequence[EvaluationResult], width: int, verbose: bool = False) -> str:
    """The scores of each benchmark, and what each model costs.

    Args:
        width: of the terminal, in columns.
        verbose: a line for each model of each benchmark, also where one line a benchmark would do, and the costs of
            each benchmark instead, beside the scores where one table fits.
    """
    rows = [Row(evaluated, evaluated.result(), evaluated.cost()) for evaluated in results]
    if not verbose:
        scores = models_beside_each_other(rows)
        if scores and scores.width <= width:
            drawn = [_lines_table(scores, space=0), *_unreadable(rows), "", _lines_table(cost_lines(results))]
        else:
            drawn = [_benchmarks_table(rows, (SCORES,)), "", _lines_table(cost_lines(results))]
    elif width >= WIDE:
        drawn = [_benchmarks_table(rows, (SCORES, COSTS))]
    else:
        drawn = [_benchmarks_table(rows, (SCORES,)), "", _benchmarks_table(rows, (COSTS,))]
    return _printed(drawn, width)


def _printed(drawn: Sequence[Any], width: int) -> str:
    """Tables as text, and lines of text between them."""
    from rich.console import Console

    lines: list[str] = []
    for part in drawn:
        if isinstance(part, str):
            lines += wrapped(part, width) or [""]
            continue
        file = StringIO()
        Console(file=file, width=width, color_system=None).print(part)
        lines += [line.rstrip() for line in file.getvalue().splitlines() if line.strip()]
    return "\n".join(lines)


def _columns(rows: Sequence[Row], parts: Sequence[str]) -> list[Column]:
    return [column for column in COLUMNS if column.part in parts and any(map(column.needed, rows))]


def _empty_table(first: str, headings: Sequence[str], space: int = 1) -> Any:
    """A table without rows. space: blanks between columns, beside the one that rich leaves."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, space, 0, 0))
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


class Lines(NamedTuple):
    """A table as texts: headings, the first one that of the names, and rows of as many cells."""

    headings: list[str]
    rows: list[tuple[str, ...]]

    @property
    def width(self) -> int:
        """Columns that it takes with a blank between its cells and no cell broken."""
        from rich.cells import cell_len

        cells = [[line for cell in column for line in cell.split("\n")]
                 for column in zip(self.headings, *self.rows, strict=True)]  # fmt: skip
        return sum(max(map(cell_len, column)) + 1 for column in cells) - 1


def models_beside_each_other(rows: Sequence[Row]) -> Lines | None:
    """A line a benchmark, its models beside each other; None unless every model has measured all items of each.

    The metric stands behind the name of a benchmark, unless it is the accuracy.
    """
    models = list(dict.fromkeys(row.evaluated.model for row in rows))
    by_label: dict[str, dict[str, Row]] = {}
    for row in rows:
        by_label.setdefault(row.evaluated.label, {})[row.evaluated.model] = row
    if not all(row.evaluated.complete for row in rows) or any(len(of) < len(models) for of in by_label.values()):
        return None
    headings = ["benchmark", "items", "constant", *(f" {model}\nscore 95 % interval" for model in models)]
    lines = []
    for label, of_model in by_label.items():
        first = next(iter(of_model.values()))
        metric = first.evaluated.header["metric"]
        name = label if metric == ACCURACY.name else f"{label}, {metric}"
        constant = first.evaluated.header.get("constant")
        cells = [f" {_score(of_model[model])} {_interval(of_model[model]).removesuffix(' %')}" for model in models]
        lines.append((name, _items(first), score(first, constant and constant["value"]), *cells))
    return Lines(headings, lines)


def _unreadable(rows: Sequence[Row]) -> list[str]:
    """A sentence on answers that no reader could read; the table of each model has a column for them."""
    missing: dict[str, list[int]] = {}
    for row in rows:
        if row.result:
            asked = missing.setdefault(row.evaluated.label, [0, 0])
            asked[0] += len(row.evaluated.rows) - row.result.valid
            asked[1] += len(row.evaluated.rows)
    found = [f"{lost:,} of {asked:,} of {label}" for label, (lost, asked) in missing.items() if lost]
    return [f"answers that could not be read: {folded(found, MOST_NAMED)} (-v: of each model)"] if found else []


def cost_lines(results: Sequence[EvaluationResult]) -> Lines:
    """A line a model with its costs over all benchmarks; of recorded answers a line a recorded run."""
    columns = _columns([Row(evaluated, None, evaluated.cost()) for evaluated in results], [COSTS])
    rows: list[tuple[str, ...]] = []
    for model in dict.fromkeys(evaluated.model for evaluated in results):
        whole = over_all_benchmarks([evaluated for evaluated in results if evaluated.model == model])
        costs = [Row(one, None, one.cost()) for one in whole]
        rows += dict.fromkeys((model, *(column.cell(row) for column in columns)) for row in costs)
    return Lines(["model", *(column.heading for column in columns)], rows)


def _lines_table(lines: Lines, space: int = 1) -> Any:
    """The drawn table. space: see `_empty_table`."""
    from rich.text import Text

    table = _empty_table(lines.headings[0], lines.headings[1:], space)
    for name, *cells in lines.rows:
        table.add_row(Name(name), *map(Text, cells))
    return table


def _benchmarks_table(rows: Sequence[Row], parts: Sequence[str]) -> Any:
    """A line a benchmark, with its metric and best constant answer, and below it a line a model."""
    from rich.text import Text

    columns = _columns(rows, parts)
    table = _empty_table("benchmark\n  model", [column.heading for column in columns])
    for label in dict.fromkeys(row.evaluated.label for row in rows):
        members = [row for row in rows if row.evaluated.label == label]
        table.add_row(Name(label), *(Text(column.title(members[0])) for column in columns))
        for row in members:
            table.add_row(Name(row.evaluated.model, "  "), *(Text(column.cell(row)) for column in columns))
    return table
