"""Collected cases put in order and planned as windows."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from pytest_slmsec.collection.cases import Case, case_of, left_out_of
from pytest_slmsec.collection.windows import together
from pytest_slmsec.config.options import BENCHMARKS
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.choices import MARKER
from pytest_slmsec.core.errors import SlmsecError, UsageError
from pytest_slmsec.distribute.units import unit_numbers
from pytest_slmsec.replay.match import unasked
from pytest_slmsec.session.preflight import check_markers
from pytest_slmsec.session.state import SessionState
from pytest_slmsec.tasks.registry import tasks


class CollectionPlugin:
    """Orders the selected cases by model and cuts them into windows.

    Args:
        say: shows one line of progress.
    """

    def __init__(self, state: SessionState, say: Callable[[str], None]) -> None:
        self._state, self._say = state, say

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Leave out what is not to be asked, and bring the cases of each model together, after all other plugins have
        reordered.
        """
        self._leave_out(items)
        option = self._state.config.option
        selects_benchmarks = getattr(option, "benchmark_only", False) or getattr(option, "benchmark_skip", False)
        with pretend_benchmark_fixture(items if selects_benchmarks else []):
            yield
        cases = [case_of(item) for item in items]
        items[:] = together(items, [None if case is None else case.evaluation.model for case in cases])
        if self._state.gating is not None:
            _or_usage_error(self._state.gating.stopping.arrange, items)

    def _leave_out(self, items: list[pytest.Item]) -> None:
        """Deselect the benchmarks that ``--slmsec-benchmarks`` does not name."""
        left_out = {item: found for item in items if (found := left_out_of(item)) is not None}
        if not left_out:
            return
        items[:] = [item for item in items if item not in left_out]
        self._state.config.hook.pytest_deselected(items=list(left_out))
        self._state.left_out += [name for found in left_out.values() for name in found.benchmarks]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan the windows of the finally selected cases."""
        state = self._state
        check_markers(state.config, session.items)
        cases = [case for item in session.items if (case := case_of(item)) is not None]
        _or_usage_error(state.pair_runs.arrange, session.items)
        planned = [*cases, *state.pair_runs.cases]
        if state.gating is not None:
            _or_usage_error(state.gating.stopping.check, cases)
        units = unit_numbers(state.config, state.settings, session.items)
        looks = self._looks(planned)
        state.run.adopt(planned, lambda case: (units.get(case), looks.get(case, 0)))
        state.own_tasks.update({case.evaluation.task.name: case.evaluation.task for case in cases})
        _or_usage_error(check_names, state)
        has_marked_tests = any(item.get_closest_marker(MARKER) for item in session.items)
        if has_marked_tests and not state.is_worker:
            idle = idle_recordings(state, {case.evaluation.model.name for case in cases})
            if idle is not None:
                raise usage_error(idle)
        self._look_at_training_data(planned)
        if state.device is not None:
            for text in state.device.plan(planned):
                self._say(text)

    def _look_at_training_data(self, cases: Sequence[Case]) -> None:
        """Look for the items in the training data, where something is going to be asked."""
        option = self._state.config.option
        if option.collectonly or option.setuponly or option.setupplan or option.slmsec_plan:
            return
        try:
            self._state.trained_on.look(cases, self._say)
        except SlmsecError as error:
            raise usage_error(error) from None

    def _looks(self, cases: Sequence[Case]) -> dict[Case, int]:
        """The number of the gate's interim looks before each case."""
        looks = self._state.pair_runs.segments()
        if self._state.gating is not None:
            segment = self._state.gating.stopping.segment
            looks |= {case: segment(case) for case in cases if case not in looks}
        return looks


@contextmanager
def pretend_benchmark_fixture(items: Sequence[pytest.Item]) -> Iterator[None]:
    """Let pytest-benchmark see its own fixture among the fixtures of our cases.

    ``--benchmark-only`` and ``--benchmark-skip`` select tests by the fixture name ``benchmark``, and our cases are
    benchmarks that do not use it.
    """
    lists = {id(item.fixturenames): item.fixturenames for item in items if case_of(item)}  # type: ignore[attr-defined]
    for names in lists.values():
        names.append("benchmark")
    try:
        yield
    finally:
        for names in lists.values():
            names.remove("benchmark")


def check_names(state: SessionState) -> None:
    """Refuse a name or pattern of ``--slmsec-benchmarks`` that fits no benchmark.

    Raises:
        UsageError: names it, with near matches.
    """
    known = dict.fromkeys([*tasks(), *state.own_tasks, *state.left_out, *state.settings.lm_eval])
    for pattern in state.settings.benchmarks:
        if not fnmatch.filter(known, pattern):
            near = difflib.get_close_matches(pattern, known, 3, 0.4)
            hint = f"did you mean {' or '.join(near)}?" if near else "`slmsec list` names all."
            raise UsageError(f"{BENCHMARKS.flag}={pattern}: there is no such benchmark; {hint}")


def idle_recordings(state: SessionState, asked: Collection[str]) -> str | None:
    """A sentence on the first model of recorded answers that no test asks for, or None: a run without them would be
    green.

    Args:
        asked: names of the models that are asked.
    """
    idle = [model for model in state.settings.models if model.source == "replay" and model.name not in asked]
    return unasked(idle[0]) if idle else None


def _or_usage_error(check: Callable[[Any], None], collected: Any) -> None:
    """Run a check of the gate; what it refuses ends the run as a mistake of the command line."""
    try:
        check(collected)
    except UsageError as error:
        raise usage_error(error) from None
