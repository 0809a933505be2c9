"""What the gate can show at all with the items there are, said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pytest_slmsec.gates.config import GateConfig, Rule
from pytest_slmsec.gates.units import DEFAULT_MARGINS
from pytest_slmsec.reports.gate_text import shown
from pytest_slmsec.tasks.base import Task

HEADINGS = ("benchmark", "items", "limit", "can prove", "unchanged", "fails from", "needed")
LEGEND = (
    "can prove: the smallest limit that these items prove if no answer changes",
    "unchanged: how often a model passes of whose answers 6 % flip without any drop",
    "fails from: the drop that fails in 80 of 100 runs",
    "needed: items with which such an unchanged model passes in 80 of 100 runs",
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
        if rule.max_drop is not None:
            return rule.max_drop.of(1.0) * scale
        default = DEFAULT_MARGINS.get(self.task.metric.name, config.preset.margin(self.n) * scale)
        return default if rule.max_increase is None else rule.max_increase

    def floor(self, config: GateConfig) -> int:
        """The fewest items that can PASS at the limit."""
        from pytest_slmsec.gates.binary import floor_items
        from pytest_slmsec.gates.plan import real_floor

        binary = self.task.metric.binary and not self.task.by_choice
        if binary:
            return floor_items(self.limit(config), config.alpha)
        return real_floor(self.limit(config), self.task.metric.scale, config.alpha)


def too_small(planned: Sequence[Planned], config: GateConfig) -> str | None:
    """One sentence that names the benchmarks which cannot PASS, or None."""
    small = [
        f"{shown(one.label)} ({one.n} of {one.floor(config)} items)" for one in planned if one.n < one.floor(config)
    ]
    return f"slmsec gate: can FAIL but not PASS, too few items: {', '.join(small)}" if small else None


def plan_table(planned: Sequence[Planned], config: GateConfig) -> list[str]:
    """A line a benchmark, and what the columns mean."""
    rows = [HEADINGS, *(_row(one, config) for one in planned)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADINGS))]
    lines = [
        "  ".join(
            cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return [f"what the gate can show, preset {config.preset_name}", "", *lines, "", *LEGEND]


def _row(one: Planned, config: GateConfig) -> tuple[str, ...]:
    limit, metric = one.limit(config), one.task.metric
    start = (shown(one.label), f"{one.n:,}", f"{100 * limit:.3g} pt" if metric.scale == 1 else f"{limit:g}")
    if not metric.binary or one.task.by_choice:
        floor = one.floor(config)
        can = "the limit" if one.n >= floor else "nothing"
        return (*start, can, "-", "-", f"{floor:,}+")
    from pytest_slmsec.gates.plan import feasibility

    found = feasibility(one.label, one.n, limit, alpha=config.alpha)
    fails = "-" if found.fails_from is None else f"{100 * found.fails_from:.1f} pt"
    return (*start, f"{100 * found.smallest_margin:.1f} pt", f"{100 * found.power_pass:.0f} %", fails,
            f"{found.items_to_pass:,}")  # fmt: skip
