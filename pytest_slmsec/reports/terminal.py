"""The summary tables, drawn by rich to the width of the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any, NamedTuple

from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.wrap import counted, folded
from pytest_slmsec.reports.device import device_notes
from pytest_slmsec.reports.energy import energy_notes
from pytest_slmsec.reports.evaluation_results import Cost, EvaluationResult, over_all_benchmarks
from pytest_slmsec.reports.extras import extras
from pytest_slmsec.reports.trained_on import without_training
from pytest_slmsec.scoring.base import Result
from pytest_slmsec.scoring.metrics import UNSCORED

WIDE = 132
CONSTANT_WIDTH = 13
LEAST_WIDTH = 12
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
        verbose: the costs of each benchmark instead, beside the scores where one table fits.
    """
    rows = [Row(evaluated, evaluated.result(), evaluated.cost()) for evaluated in results]
    if not verbose:
        drawn = [_benchmarks_table(rows, (SCORES,)), _models_table(results)]
    elif width >= WIDE:
        drawn = [_benchmarks_table(rows, (SCORES, COSTS))]
    else:
        drawn = [_benchmarks_table(rows, (SCORES,)), _benchmarks_table(rows, (COSTS,))]
    return _printed(drawn, width)


def _printed(drawn: Sequence[Any], width: int) -> str:
    from rich.console import Console

    texts = []
    for table in drawn:
        file = StringIO()
        Console(file=file, width=width, color_system=None).print(table)
        texts.append("\n".join(line.rstrip() for line in file.getvalue().splitlines() if line.strip()))
    return "\n\n".join(texts)


def _columns(rows: Sequence[Row], parts: Sequence[str]) -> list[Column]:
    return [column for column in COLUMNS if column.part in parts and any(map(column.needed, rows))]


def _empty_table(first: str, headings: Sequence[str]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


class Lines(NamedTuple):
    """A table as texts: headings, the first one that of the names, and rows of as many cells."""

    headings: list[str]
    rows: list[tuple[str, ...]]


def cost_lines(results: Sequence[EvaluationResult]) -> Lines:
    """A line a model with its costs over all benchmarks; of recorded answers a line a recorded run."""
    columns = _columns([Row(evaluated, None, evaluated.cost()) for evaluated in results], [COSTS])
    rows: list[tuple[str, ...]] = []
    for model in dict.fromkeys(evaluated.model for evaluated in results):
        whole = over_all_benchmarks([evaluated for evaluated in results if evaluated.model == model])
        costs = [Row(one, None, one.cost()) for one in whole]
        rows += dict.fromkeys((model, *(column.cell(row) for column in columns)) for row in costs)
    return Lines(["model", *(column.heading for column in columns)], rows)


def _models_table(results: Sequence[EvaluationResult]) -> Any:
    from rich.text import Text

    headings, rows = cost_lines(results)
    table = _empty_table(headings[0], headings[1:])
    for model, *cells in rows:
        table.add_row(Name(model), *map(Text, cells))
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


def notes(results: Sequence[EvaluationResult]) -> list[str]:
    """Sentences below the tables: what is incomplete, what hit a limit, what was halved."""
    lines = []
    for evaluated in results:
        where = f"{evaluated.label} on {evaluated.model}"
        measured = len(evaluated.rows) - evaluated.n_errors
        if evaluated.n_errors:
            lines.append(f"{where}: {counted(evaluated.n_errors, 'item')} could not be measured: in no score.")
        elif evaluated.stopped:
            seen = f"{measured:,} of {evaluated.n_expected:,} items"
            lines.append(f"{where}: stopped early, after {seen}; its benchmark entries say so in their names.")
        elif measured < evaluated.n_expected:
            ran = f"{measured} of {evaluated.n_expected} items ran"
            lines.append(f"{where}: {ran}; no benchmark entry is written for a part.")
        unfinished = evaluated.n_unfinished_thoughts
        if evaluated.n_hit_limit > unfinished:
            limit = (evaluated.header.get("decoding") or {}).get("max_new_tokens")
            cut = counted(evaluated.n_hit_limit - unfinished, "answer")
            lines.append(f"{where}: {cut} reached the limit of {limit} new tokens.")
        if unfinished:
            lines.append(f"{where}: {counted(unfinished, 'thought')} had no end, so there is no answer.")
        if evaluated.n_fragile:
            noisy = counted(evaluated.n_fragile, "choice")
            lines.append(f"{where}: numeric noise decides {noisy}; --slmsec-fragile=rescore takes fp32.")
        if unscored := _unscored(evaluated):
            lines.append(f"{where}: {counted(unscored, 'item', 'have')} no published answer: in no score.")
    return lines + _measured_notes(results)


def _measured_notes(results: Sequence[EvaluationResult]) -> list[str]:
    """Notes of the measurement, once for each model, with all benchmarks that share them."""
    labels: dict[tuple[str, str], list[str]] = {}
    for evaluated in results:
        for note in evaluated.cost().notes:
            labels.setdefault((evaluated.model, note), []).append(evaluated.label)
    return [f"{', '.join(where)} on {model}: {note}." for (model, note), where in labels.items()]


def _unscored(evaluated: EvaluationResult) -> int:
    """Items that the metric left out of the denominator because nobody can answer them right."""
    result = evaluated.result()
    return int(result.extras.get(UNSCORED) or 0) if result else 0


def sources(results: Sequence[EvaluationResult], verbose: bool = False) -> str:
    """Where the items come from; `verbose`: of each benchmark, with the first digits of its items' hash."""
    headed = [evaluated for evaluated in results if evaluated.header]
    if verbose:
        used = {f"{g.label} {g.header['items_sha256'][:8]} ({g.header['source']})" for g in headed}
    else:
        used = {str(g.header["source"]) for g in headed}
    return ", ".join(sorted(used))


def left_out(unfit: Sequence[tuple[str, str, str]]) -> list[str]:
    """Sentences on what models were not asked, from model, benchmark and reason."""
    benchmarks: dict[tuple[str, str], list[str]] = {}
    for model, benchmark, why in unfit:
        benchmarks.setdefault((model, why), []).append(benchmark)
    return [f"{model} was not asked {', '.join(names)}: {why}." for (model, why), names in benchmarks.items()]


def without_items(reasons: Mapping[str, str]) -> list[str]:
    """A sentence on the benchmarks whose items could not be read: their names, and the reason of the first."""
    if not reasons:
        return []
    first = next(iter(reasons.values()))
    return [f"No items, so not measured: {folded(list(reasons), 6)}. {first}"]


def named(benchmarks: Sequence[str], verbose: bool) -> str:
    """The names of benchmarks. Of many only two and a count, which fill one line of 80 columns, unless `verbose`."""
    most = len(benchmarks) if verbose else 2
    names = folded(benchmarks, most)
    return f"{names} (-v: all)" if len(benchmarks) > most + 1 else names


def write_summary(
    reporter: Any, results: Sequence[EvaluationResult], settings: Settings, unfit: Sequence[tuple[str, str, str]] = (),
    resumed: str | None = None, no_items: Mapping[str, str] | None = None,
    not_asked: Sequence[str] = (),
) -> None:  # fmt: skip
    """The section at the end of a run, in more detail with ``-v``.

    Args:
        unfit: model, benchmark and reason of each that was not asked. resumed: what an earlier run had measured.
        no_items: benchmarks whose items could not be read, and why. not_asked: benchmarks that were left out by name.
    """
    reporter.section("slmsec results")
    writer = reporter._tw
    verbose = reporter.verbosity > 0
    for line in tables(results, writer.fullwidth, verbose).splitlines() if results else ():
        reporter.write_line(line)
    said = [
        *notes(results),
        *energy_notes(results),
        *device_notes(results),
        *extras(results),
        *without_training(results),
        *left_out(unfit),
        *without_items(no_items or {}),
    ]
    if resumed:
        said.append(resumed)
    if not_asked:
        said.append(f"not asked (--slmsec-benchmarks): {named(not_asked, verbose)}")
    if results:
        said.append(f"items: {sources(results, verbose)}; scoring {settings.mode.value}")
    for text in said:
        wrapped = textwrap.wrap(
            text, writer.fullwidth, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
        for line in wrapped:
            reporter.write_line(line)
