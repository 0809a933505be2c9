"""The plan of a gate: what it can show with the number of items of each benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.core.wrap import WIDTH, counted, folded, shown, wrapped
from pytest_slmsec.gates.decision.informative import uninformative
from pytest_slmsec.gates.policy.config import GateConfig, Rule
from pytest_slmsec.gates.policy.rule_check import P_CORRECT
from pytest_slmsec.gates.records.benchmark_run import BenchmarkRun
from pytest_slmsec.gates.statistics.margins import DEFAULT_MARGINS
from pytest_slmsec.gates.statistics.paired_binary import floor_items
from pytest_slmsec.gates.statistics.power import (
    TYPICAL_CHURN,
    TYPICAL_P_CORRECT_SPREAD,
    TYPICAL_SPREAD,
    feasibility,
    items_to_pass,
    real_floor,
    real_items_to_pass,
)
from pytest_slmsec.tasks.base import Task

NAMED = 4
"""Benchmarks named in a sentence."""
HEADINGS = ("benchmark", "items", "limit", "can prove", "unchanged", "fails from", "needed")


def legend(config: GateConfig) -> tuple[str, ...]:
    """What the columns mean."""
    often = f"in {100 * config.power:g} of 100 runs"
    return (
        "can prove: the smallest limit that these items prove if no answer changes",
        f"unchanged: how often a model passes of whose answers {100 * TYPICAL_CHURN:g} % flip without any drop",
        f"fails from: the drop that fails {often}",
        f"needed: items with which an unchanged model passes {often}, if {100 * TYPICAL_CHURN:g} % of its answers "
        f"flip; for scores that are no shares, if differences spread by {100 * TYPICAL_SPREAD:g} % of the scale "
        f"({100 * TYPICAL_P_CORRECT_SPREAD:g} % for p_correct)",
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """One benchmark of which `n` items are to be judged."""

    label: str
    task: Task
    n: int

    def rule(self, config: GateConfig) -> Rule:
        """What the configuration says about it."""
        return config.rule(self.label, self.task.name)

    def limit(self, config: GateConfig) -> float:
        """The tolerated drop in the unit of the metric; a relative one as if the base scored everything."""
        rule, scale = self.rule(config), self.task.metric.scale
        if rule.min_gain is not None:
            return rule.min_gain * scale
        if rule.max_drop is not None:
            return rule.max_drop.of(1.0) * scale
        default = DEFAULT_MARGINS.get(self.task.metric.name, config.preset.margin(self.n) * scale)
        return default if rule.max_increase is None else rule.max_increase

    def primary(self, config: GateConfig) -> str:
        """The metric that decides."""
        names = self.rule(config).metrics
        if names:
            return names[0]
        return P_CORRECT if self.task.by_choice else self.task.metric.name

    def binary(self, config: GateConfig) -> bool:
        """Whether what decides is a share of right or wrong answers."""
        return self.task.metric.binary and self.primary(config) != P_CORRECT

    def floor(self, config: GateConfig) -> int:
        """The fewest items that can PASS at the limit."""
        limit = self.limit(config)
        if self.binary(config):
            return floor_items(limit, config.alpha)
        return real_floor(limit, self.task.metric.scale, config.alpha)

    def warning(self, config: GateConfig) -> str | None:
        """The sentences on a benchmark that cannot PASS, or None."""
        if self.n >= self.floor(config) or config.scope == "benchmark":
            return None
        limit, scale = self.limit(config), self.task.metric.scale
        if self.binary(config):
            return feasibility(self.label, self.n, limit, alpha=config.alpha, power=config.power).sentence
        unit = f"{100 * limit:g} points" if scale == 1 else f"{limit:g}"
        return (f"{self.label} has {counted(self.n, 'item')} and needs {self.floor(config)} to prove a limit of "
                f"{unit}. It can FAIL but not PASS. Role: advisory.")  # fmt: skip

    def needed(self, config: GateConfig) -> int:
        """Items with which a usual unchanged model passes with the power of the configuration."""
        limit, scale = self.limit(config), self.task.metric.scale
        if self.binary(config):
            return items_to_pass(limit, TYPICAL_CHURN, config.alpha, config.power)
        spread = TYPICAL_P_CORRECT_SPREAD if self.primary(config) == P_CORRECT else TYPICAL_SPREAD
        return real_items_to_pass(spread * scale, limit, scale, config.alpha, config.power)


def remarks(planned: Sequence[Planned], config: GateConfig) -> list[str]:
    """What is said at collection: how many benchmarks cannot PASS (`too_small` names them in a warning), and which
    hardly can. Nothing with ``scope = "benchmark"``, where every drop is a fact.
    """
    if config.scope == "benchmark":
        return []
    never = len(_too_small(planned, config))
    hardly = [f"{shown(one.label)} ({counted(one.n, 'item')}; needs about {one.needed(config):,})" for one in planned
              if one.floor(config) <= one.n < one.needed(config)]  # fmt: skip
    found = []
    if never:
        found.append(f"slmsec gate: {never:,} of {len(planned):,} benchmarks can FAIL but not PASS, too few items; "
                     "--slmsec-plan shows which")  # fmt: skip
    if hardly:
        found.append(f"slmsec gate: an unchanged model may well stay undecided: {folded(hardly, NAMED)}; see "
                     "--slmsec-plan")  # fmt: skip
    return found


def too_small(planned: Sequence[Planned], config: GateConfig) -> str | None:
    """The sentence that names the benchmarks which cannot PASS; None if all can, or if every drop is a fact."""
    small = [f"{shown(one.label)} ({one.n:,} of {one.floor(config):,} items)" for one in _too_small(planned, config)]
    if not small or config.scope == "benchmark":
        return None
    more = "; --slmsec-plan shows all" if len(small) > NAMED + 1 else ""
    return f"slmsec gate: can FAIL but not PASS, too few items: {folded(small, NAMED)}{more}"


def _too_small(planned: Sequence[Planned], config: GateConfig) -> list[Planned]:
    return [one for one in planned if one.n < one.floor(config)]


def plan_table(
    planned: Sequence[Planned], config: GateConfig, width: int = WIDTH, bases: Sequence[BenchmarkRun] = ()
) -> list[str]:
    """A line a benchmark, and what the columns mean, wrapped to `width`.

    Args:
        bases: stored runs of the base; those that have nothing to lose are named below the table.
    """
    rows = [HEADINGS, *(_row(one, config) for one in planned)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    gap = "  " if sum(widths) + 2 * (len(widths) - 1) <= width else " "
    lines = [
        gap.join(cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    explained = [line for text in legend(config) for line in wrapped(text, width)]
    nothing_to_lose = [line for text in uninformative(bases, config) for line in wrapped(shown(text), width)]
    title = f"what the gate can show, preset {config.preset_name}"
    return [title, "", *lines, "", *explained, *([""] if nothing_to_lose else []), *nothing_to_lose]


def _row(one: Planned, config: GateConfig) -> tuple[str, ...]:
    limit, metric = one.limit(config), one.task.metric
    start = (shown(one.label), f"{one.n:,}", f"{100 * limit:.3g} pt" if metric.scale == 1 else f"{limit:g}")
    if not one.binary(config):
        can = "the limit" if one.n >= one.floor(config) else "nothing"
        return (*start, can, "-", "-", f"{one.needed(config):,}")
    found = feasibility(one.label, one.n, limit, alpha=config.alpha, power=config.power)
    fails = "-" if found.fails_from is None else f"{100 * found.fails_from:.1f} pt"
    return (*start, f"{100 * found.smallest_margin:.1f} pt", f"{100 * found.power_pass:.0f} %", fails,
            f"{one.needed(config):,}")  # fmt: skip
