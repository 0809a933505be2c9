"""What the marker ``slmsec_gate`` and the configuration say about the benchmarks of a run, checked at collection."""

from __future__ import annotations

import difflib
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_slmsec.collection.cases import Evaluation, case_of, left_out_of
from pytest_slmsec.config.files import read_gate
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.errors import FeasibilityWarning, UsageError
from pytest_slmsec.core.models import ModelSpec
from pytest_slmsec.core.wrap import WIDTH, wrapped
from pytest_slmsec.gates.policy.config import GateConfig, Rule, read_rule
from pytest_slmsec.gates.policy.rule_check import P_CORRECT, Scale, check_rule
from pytest_slmsec.gates.records.comparisons import live_comparisons
from pytest_slmsec.gates.statistics.sequential_design import OFF
from pytest_slmsec.gating.pairing import pair_case_of
from pytest_slmsec.perturb.benchmark import SUFFIX, with_variants
from pytest_slmsec.tasks.base import Task
from pytest_slmsec.tasks.registry import tasks

FIRST_WORKER = "gw0"
ONE_PROCESS = (
    '[tool.slmsec.gate] early_stop and on_inconclusive = "extend" decide while the run goes on: they need one process; '
    "leave out -n, or these."
)
GATE_MARKER = "slmsec_gate"


def gate_config(config: pytest.Config) -> GateConfig:
    """What is tolerated in this run: the configuration, under the preset and ``--slmsec-strict`` of the command line.

    Raises:
        UsageError: the configuration cannot be used.
    """
    gate = read_gate(config.rootpath, config.option.slmsec_preset)
    return replace(gate, on_inconclusive="fail") if config.option.slmsec_strict else gate


def where_marked(item: pytest.Item) -> str:
    """The marker of a test, for messages."""
    return f"{item.nodeid.partition('[')[0]} @pytest.mark.{GATE_MARKER}"


def marked(item: pytest.Item) -> dict[str, Any] | None:
    """The keys that the marker ``slmsec_gate`` of a test gives, or None without one."""
    marker = item.get_closest_marker(GATE_MARKER)
    return None if marker is None else dict(marker.kwargs)


def check_name(item: pytest.Item, task: Task) -> None:
    """Refuse a marker that names another benchmark than its test is marked for.

    Raises:
        UsageError: as said.
    """
    marker = item.get_closest_marker(GATE_MARKER)
    for name in marker.args if marker is not None else ():
        if getattr(name, "name", name) != task.name.removesuffix(SUFFIX):
            raise UsageError(f"{where_marked(item)} names {name!r}, but the test is about {task.name}: leave the name "
                             "out, or take the fixture `slm_pair` instead.")  # fmt: skip


def rule_of(item: pytest.Item, evaluation: Evaluation, gate: GateConfig) -> Rule:
    """The rule of a benchmark: that of the marker, else that of the configuration.

    Raises:
        UsageError: the marker says something that cannot be used.
    """
    keys = marked(item)
    return gate.rule(evaluation.label, evaluation.task.name) if keys is None else read_rule(keys, where_marked(item))


def scale_of(task: Task) -> Scale:
    """The scale of a benchmark's metric, which its rule must fit."""
    metric = task.metric
    return Scale(metric.name, metric.higher_is_better, metric.binary, metric.scale, task.by_choice)


def fits(rule: Rule, label: str, task: Task) -> None:
    """Check that a rule fits its benchmark.

    Raises:
        UsageError: it does not; names the benchmark by choice of the same items where the rule wants its metric.
    """
    try:
        check_rule(rule, label, scale_of(task))
    except UsageError as error:
        by_choice = f"{task.name}-choice"
        wanted = P_CORRECT in (rule.metrics or ()) and not task.by_choice and by_choice in tasks()
        remedy = f" Use {by_choice}, which asks the same items so." if wanted else ""
        raise UsageError(f"{error}{remedy}") from None


def with_marks(gate: GateConfig, items: Iterable[pytest.Item]) -> GateConfig:
    """The configuration with the rules of markers, which take precedence over those of its tables.

    Raises:
        UsageError: a marker says something that cannot be used.
    """
    evaluations = {case.evaluation: item for item in items if (case := case_of(item))}
    rules = {
        evaluation.label: rule_of(item, evaluation, gate)
        for evaluation, item in evaluations.items()
        if marked(item) is not None
    }
    return replace(gate, rules={**gate.rules, **rules})


class GateRules:
    """Checks, in every process that collects, that each rule is about a benchmark and fits it.

    Args:
        models: those of the run.
    """

    def __init__(self, config: pytest.Config, models: Sequence[ModelSpec]) -> None:
        self._config, self._models = config, models
        self._collected: set[str] = set()
        self._remarks: list[str] = []
        self._refused = False

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Note the benchmarks of all tests, before any are deselected."""
        for item in items:
            case = case_of(item)
            if case is not None:
                self._collected |= {case.evaluation.label, case.evaluation.task.name}
            left_out = left_out_of(item)
            if left_out is not None:
                self._collected |= set(left_out.benchmarks)
        yield

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Refuse rules about nothing, and those that do not fit; nothing has run yet.

        Raises:
            pytest.UsageError: names the key or the table. A worker of xdist stops instead, for it could not say why.
        """
        selected = {case.evaluation: item for item in session.items if (case := case_of(item))}
        pairs = {pair.candidate: item for item in session.items if (pair := pair_case_of(item))}
        try:
            gate = gate_config(self._config)
            self._remarks = check_tables(gate, self._collected, narrowed(self._config))
            for evaluation, item in selected.items():
                check_name(item, evaluation.task)
                fits(rule_of(item, evaluation, gate), evaluation.label, evaluation.task)
                self._check_process(gate, rule_of(item, evaluation, gate))
            self._warn(gate, {**selected, **pairs})
        except UsageError as error:
            if not hasattr(self._config, "workerinput"):
                raise usage_error(error) from None
            self._refused, session.shouldstop = True, str(error)

    def _check_process(self, gate: GateConfig, rule: Rule) -> None:
        """Refuse early stopping in a worker of xdist: it sees only a part of the items."""
        if hasattr(self._config, "workerinput") and gate.stops_early(rule) != OFF and self._judged(gate):
            raise UsageError(ONE_PROCESS)

    def _judged(self, gate: GateConfig) -> bool:
        return bool(self._config.option.slmsec_baseline or gate.baseline or live_comparisons(self._models, None))

    def _warn(self, gate: GateConfig, selected: Mapping[Evaluation, pytest.Item]) -> None:
        """A `FeasibilityWarning` for what is to be judged and is too small: one each where it has a rule of its own."""
        first = getattr(self._config, "workerinput", {"workerid": FIRST_WORKER})["workerid"] == FIRST_WORKER
        option = self._config.option
        if not (first and self._judged(gate)) or option.slmsec_plan:
            return
        from pytest_slmsec.reports.gate.power_table import Planned, too_small

        others: dict[str, tuple[Planned, pytest.Item]] = {}
        for evaluation, item in selected.items():
            questions = {evaluation.question(row) for row in range(len(evaluation.positions))}
            planned = Planned(evaluation.label, evaluation.task, len(questions))
            rule = rule_of(item, evaluation, gate)
            if rule == Rule():
                others[evaluation.label] = planned, item
                continue
            own = planned.warning(replace(gate, rules={evaluation.label: rule}))
            if own is not None:
                item.warn(FeasibilityWarning(_lines(own)))
        small = [(planned, item) for planned, item in others.values() if planned.n < planned.floor(gate)]
        shared = too_small([planned for planned, _ in small], gate)
        if shared is not None:
            small[0][1].warn(FeasibilityWarning(_lines(shared)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool | None:
        """Skip the test that a worker starts before it sees that it must stop, because its rules were refused."""
        return True if self._refused else None

    def pytest_report_collectionfinish(self) -> list[str]:
        """Name the tables of which it is not known whether they are about a benchmark."""
        return [line for remark in self._remarks for line in wrapped(f"slmsec gate: {remark}", screen(self._config))]


def check_tables(gate: GateConfig, collected: Iterable[str], some_files: bool) -> list[str]:
    """Refuse a table of the configuration that is about no benchmark.

    Args:
        some_files: only some test files are read, so that a benchmark of the user's own may stand in another one: then
            only a name close to a built-in one is refused.

    Returns:
        A sentence for each table that may or may not be about a benchmark.

    Raises:
        UsageError: names the table, with a near match.
    """
    known, built_in = {*with_variants(tasks()), *with_variants(collected)}, list(tasks())
    absent = [name for name in gate.rules if name not in known]
    open_names = [name for name in absent if some_files and not difflib.get_close_matches(name, built_in, 1)]
    rules = {name: rule for name, rule in gate.rules.items() if name not in open_names}
    replace(gate, rules=rules).check_benchmarks(known)
    return [f"{gate.rules[name].where}: no benchmark {name!r} was collected." for name in open_names]


def narrowed(config: pytest.Config) -> bool:
    """Whether only some of the test files are read."""
    named = any("::" in arg or Path(arg).is_file() for arg in config.args)
    return named or bool(getattr(config.option, "lf", False))


def screen(config: pytest.Config) -> int:
    """Columns of the terminal."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return reporter._tw.fullwidth if reporter is not None else WIDTH


def _lines(text: str) -> str:
    """A warning on lines of its own: pytest puts the place in front of it, and wraps nothing."""
    return "\n".join(["", *wrapped(text, WIDTH - 4, "")])
