"""What a gate tolerates: the table ``[tool.slmsec.gate]`` on top of a preset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.core.toml_files import unknown
from pytest_slmsec.gates.policy.suite import ADJUSTMENTS, ALPHA, Limits
from pytest_slmsec.gates.policy.values import (
    Reader,
    as_table,
    count,
    day,
    error_rate,
    flag,
    memory_runs,
    metric_names,
    one_of,
    points,
    probability,
    read_values,
    speed_rounds,
    text,
)
from pytest_slmsec.gates.statistics.margins import (
    Margin,
    Recorded,
    read_allowance,
    read_amount,
    read_budget,
    read_margin,
    read_percent,
)
from pytest_slmsec.gates.statistics.sequential_design import EARLY_STOPS, OFF
from pytest_slmsec.gates.statistics.size_threshold import DEVICE, MINIMUM_RUNS, RESIDENT, Allowance

EXTEND = "extend"
ON_INCONCLUSIVE = ("warn", "fail", EXTEND, "skip")
SCOPES = ("population", "benchmark")
UNPARSABLE = ("worst", "error")
SIZE = Allowance(0.02, 0)
ALL_RIGHT_MARGIN = 0.035
"""Of items that are right in all variants: a mean drop of 2.1 points over variants is one of about 3.6 there."""
INJECTED_MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Preset:
    """Margins that fit an occasion.

    Attributes:
        max_drop: tolerated drop of a benchmark, a share of its scale; `max_drop_large` from `large_items` items.
        macro: tolerated mean drop. on_inconclusive: what an undecided gate does to the exit code.
    """

    max_drop: float
    macro: float
    on_inconclusive: str
    max_drop_large: float | None = None
    large_items: int = 2500

    def margin(self, n: int) -> float:
        """The tolerated drop for a benchmark of `n` items."""
        return self.max_drop_large if self.max_drop_large is not None and n >= self.large_items else self.max_drop


PRESETS: Mapping[str, Preset] = {
    "pr": Preset(0.03, 0.03, "warn"),
    "nightly": Preset(0.02, 0.02, "warn"),
    "release": Preset(0.02, 0.02, "fail", 0.01),
}
DEFAULT_PRESET = "nightly"


@dataclass(frozen=True, slots=True)
class Rule:
    """What is said about one benchmark; None: nothing.

    Attributes:
        metrics: what to judge, the first one primary. max_drop: of scores in which higher is better.
        max_increase: of deviations, in their own unit. required: see `suite.Member`.
        early_stop: of `EARLY_STOPS`. reason, expires: why the margin was changed, and until when that is meant to hold.
        worst_group: tolerated drop of any category, a share of the scale. min_gain: the gain that a fine-tuned
            candidate must show, a share of the scale; instead of a tolerated drop.
        where: for messages.
    """

    metrics: tuple[str, ...] | None = None
    max_drop: Margin | None = None
    max_increase: float | None = None
    required: bool | None = None
    early_stop: str | None = None
    reason: str | None = None
    expires: date | None = None
    worst_group: float | None = None
    min_gain: float | None = None
    where: str = ""

    @property
    def own_margin(self) -> bool:
        """Whether a margin was set here."""
        return self.max_drop is not None or self.max_increase is not None

    def warning(self, today: date) -> str | None:
        """The sentence once the date is past."""
        if self.expires is None or today <= self.expires:
            return None
        why = f" (it was changed because: {self.reason})" if self.reason else ""
        return f"{self.where}: its margin was meant to hold until {self.expires.isoformat()}{why}; look at it again."


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far next-token distributions may lie apart.

    Attributes:
        items: answers looked at. budget: mean KL in nats a token, a factor on what is recorded of the accepted build,
            or None: that of the width of the weights.
        metric: what is judged; total variation and the share of places with the same likeliest token are shown as well.
        blocks: beyond the budget the suite FAILs; otherwise it is INCONCLUSIVE.
    """

    items: int = 200
    budget: float | Recorded | None = None
    blocks: bool = False
    metric: str = "kl"


@dataclass(frozen=True, slots=True)
class GateConfig:
    """Everything a gate tolerates.

    Attributes:
        preset: name and numbers. baseline: a stored run, ``live:MODEL``, or None.
        scope: ``population`` (the items are a sample of the task) or ``benchmark`` (exactly these items).
        alpha: one-sided error rate of each bound. power: how often a plan wants to succeed; for planning only.
        on_inconclusive: ``warn``, ``fail`` or ``skip``, for a suite that stays undecided. extend: where a sample does
            not decide, the other items are asked first. early_stop: of `EARLY_STOPS`, where a rule does not say.
        unparsable: ``worst``, or ``error`` where one must not occur.
        suite: limits of the suite. rules: by benchmark. max_collapse: tolerated growth of the commonest answer.
        worst_group: tolerated drop of any category of a benchmark that has categories, a share of the scale; None: not
            judged.
        judge: tolerated win share below one half, by ``--slmsec-pair-judge``; None: shown only.
        all_right: tolerated drop of the share of items that are right in all variants. injected: tolerated growth of
            the share of injections that succeed. None: `ALL_RIGHT_MARGIN` and `INJECTED_MARGIN`.
        max_slowdown: share. speed_rounds: rounds in which base and candidate take turns; None: not measured so.
        fidelity: None: not measured.
        memory, size: tolerated increase; None: the default. memory_runs: how often the peak is measured; once, memory
            is advisory.
    """

    preset_name: str = DEFAULT_PRESET
    preset: Preset = PRESETS[DEFAULT_PRESET]
    baseline: str | None = None
    scope: str = "population"
    alpha: float = ALPHA
    power: float = 0.8
    on_inconclusive: str = "warn"
    extend: bool = False
    early_stop: str = OFF
    unparsable: str = "worst"
    suite: Limits = field(default_factory=Limits)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    max_collapse: float = 0.20
    worst_group: float | None = None
    judge: float | None = None
    all_right: float | None = None
    injected: float | None = None
    max_slowdown: float = 0.05
    speed_rounds: int | None = None
    fidelity: Fidelity | None = None
    memory: Allowance | None = None
    memory_runs: int = 1
    size: Allowance | None = None

    def rule(self, benchmark: str, task: str) -> Rule:
        """The rule of a benchmark: by its label (``cti-mcq@fixture``), else by the name of its task."""
        return self.rules.get(benchmark) or self.rules.get(task) or Rule()

    def stops_early(self, rule: Rule) -> str:
        """When a benchmark under `rule` may stop: one of `EARLY_STOPS`."""
        return rule.early_stop or self.early_stop

    def memory_allowance(self, on_gpu: bool) -> Allowance:
        """The tolerated increase of peak memory."""
        usual = DEVICE if on_gpu else RESIDENT
        return usual if self.memory is None else replace(self.memory, repeat_share=usual.repeat_share)

    def check_benchmarks(self, known: Collection[str]) -> None:
        """Refuse a table that is about no benchmark.

        Raises:
            UsageError: names it, with a near match.
        """
        for name, rule in self.rules.items():
            if name not in known:
                raise UsageError(unknown(rule.where, "there is no benchmark", name, [*known, *TABLES]))

    def warnings(self, today: date) -> list[str]:
        """Sentences about margins whose date is past."""
        found = [rule.warning(today) for rule in self.rules.values()]
        return [text for text in found if text is not None]


def read_config(table: Mapping[str, Any], where: str, preset: str | None = None) -> GateConfig:
    """The configuration in a table ``[tool.slmsec.gate]``.

    Args:
        where: the file and table, for messages. preset: from the command line; goes before the table's own.

    Raises:
        UsageError: an unknown key or table, named with a near match, or a value that cannot be used.
    """
    name = preset or table.get("preset", DEFAULT_PRESET)
    if name not in PRESETS:
        raise UsageError(unknown(where, "there is no preset", str(name), PRESETS))
    chosen = PRESETS[name]
    config = GateConfig(
        name, chosen, on_inconclusive=chosen.on_inconclusive, suite=Limits(macro=chosen.macro)
    )  # fmt: skip
    rules = {}
    for key, value in table.items():
        if key in TABLES:
            config = TABLES[key](config, as_table(value, f"{where[:-1]}.{key}]"), f"{where[:-1]}.{key}]")
        elif isinstance(value, Mapping):
            rules[key] = read_rule(value, f"{where[:-1]}.{key}]")
        elif key in SCALARS:
            config = replace(config, **{key: SCALARS[key](value, f"{where} {key}")})
        elif key != "preset":
            raise UsageError(unknown(where, "unknown key", key, [*SCALARS, "preset", *TABLES]))
    if config.on_inconclusive == EXTEND:
        config = replace(config, extend=True, on_inconclusive=chosen.on_inconclusive)
    return replace(config, rules=rules)


def read_rule(table: Mapping[str, Any], where: str) -> Rule:
    """What is said about one benchmark, in a table or by a marker.

    Raises:
        UsageError: an unknown key, or a value that cannot be used.
    """
    return Rule(**read_values(table, RULE, where), where=where)


SCALARS: Mapping[str, Reader] = {
    "baseline": text,
    "scope": one_of(*SCOPES),
    "alpha": error_rate,
    "power": probability,
    "on_inconclusive": one_of(*ON_INCONCLUSIVE),
    "early_stop": one_of(*EARLY_STOPS),
    "unparsable": one_of(*UNPARSABLE),
}
RULE: Mapping[str, tuple[str, Reader]] = {
    "metric": ("metrics", metric_names),
    "max_drop": ("max_drop", read_margin),
    "max_increase": ("max_increase", read_amount),
    "required": ("required", flag),
    "early_stop": ("early_stop", one_of(*EARLY_STOPS)),
    "worst_group": ("worst_group", points),
    "min_gain": ("min_gain", points),
    "reason": ("reason", text),
    "expires": ("expires", day),
}
THROUGHPUT: Mapping[str, tuple[str, Reader]] = {
    "max_slowdown": ("max_slowdown", read_percent),
    "rounds": ("speed_rounds", speed_rounds),
}
FIDELITY: Mapping[str, tuple[str, Reader]] = {
    "items": ("items", count),
    "budget": ("budget", read_budget),
    "blocks": ("blocks", flag),
    "metric": ("metric", one_of("kl")),
}
MEMORY: Mapping[str, tuple[str, Reader]] = {
    "max_increase": ("memory", read_allowance),
    "runs": ("memory_runs", memory_runs),
}
SUITE: Mapping[str, tuple[str, Reader]] = {
    "max_drop_macro": ("macro", points),
    "max_drop_each": ("each", points),
    "required_min_items": ("required_min_items", count),
    "adjust": ("adjust", one_of(*ADJUSTMENTS)),
}


ROBUST: Mapping[str, tuple[str, Reader]] = {
    "max_drop_all_right": ("all_right", points),
    "max_injected": ("injected", points),
}


def _robust(config: GateConfig, table: Mapping[str, Any], where: str) -> GateConfig:
    return replace(config, **read_values(table, ROBUST, where))


def _suite(config: GateConfig, table: Mapping[str, Any], where: str) -> GateConfig:
    return replace(config, suite=replace(config.suite, **read_values(table, SUITE, where)))


def _throughput(config: GateConfig, table: Mapping[str, Any], where: str) -> GateConfig:
    return replace(config, **read_values(table, THROUGHPUT, where))


def _fidelity(config: GateConfig, table: Mapping[str, Any], where: str) -> GateConfig:
    return replace(config, fidelity=Fidelity(**read_values(table, FIDELITY, where)))


def _memory(config: GateConfig, table: Mapping[str, Any], where: str) -> GateConfig:
    """With this table memory is part of the verdict, and a verdict needs two measurements of the peak."""
    return replace(config, **{"memory_runs": MINIMUM_RUNS, **read_values(table, MEMORY, where)})


def _single(attribute: str, key: str, read: Reader) -> Callable[[GateConfig, Mapping[str, Any], str], GateConfig]:
    """A table with one key."""

    def into(config: GateConfig, table: Mapping[str, Any], where: str) -> GateConfig:
        return replace(config, **read_values(table, {key: (attribute, read)}, where))

    return into


TABLES: Mapping[str, Callable[[GateConfig, Mapping[str, Any], str], GateConfig]] = {
    "suite": _suite,
    "collapse": _single("max_collapse", "max_increase", points),
    "worst_group": _single("worst_group", "max_drop", points),
    "judge": _single("judge", "max_drop", points),
    "robust": _robust,
    "throughput": _throughput,
    "fidelity": _fidelity,
    "memory": _memory,
    "size": _single("size", "max_increase", read_allowance),
}
