"""The summary at the end of a run: tables of scores and costs, and below them what has to be known to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pytest_slmsec.config.settings import Settings
from pytest_slmsec.core.wrap import counted, folded, wrapped
from pytest_slmsec.reports.device import device_notes
from pytest_slmsec.reports.energy import energy_notes
from pytest_slmsec.reports.evaluation_results import EvaluationResult
from pytest_slmsec.reports.extras import extras
from pytest_slmsec.reports.tables import tables
from pytest_slmsec.reports.trained_on import without_training
from pytest_slmsec.scoring.metrics import UNSCORED


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
        for line in wrapped(text, writer.fullwidth):
            reporter.write_line(line)
