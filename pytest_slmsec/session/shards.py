"""One part of a run (``--slmsec-shard``), and a run that is put together from its parts (``--slmsec-merge``)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import pytest

from pytest_slmsec.collection.cases import case_of
from pytest_slmsec.collection.windows import cut
from pytest_slmsec.config.usage_error import usage_error
from pytest_slmsec.core.errors import SlmsecError, UsageError
from pytest_slmsec.core.identity import sha256_json
from pytest_slmsec.core.shard import Shard, ShardFacts, spans_of
from pytest_slmsec.core.wrap import counted
from pytest_slmsec.execution.merge import Merged
from pytest_slmsec.session.state import SessionState

NO_WORKERS = "does not work with -n (pytest-xdist): give each process a shard of its own"


def register_shards(state: SessionState) -> Merged | None:
    """Register what measures one part of the run only, or puts the parts together.

    Returns:
        What the parts measured, where they are put together.

    Raises:
        pytest.UsageError: see `Merged.read`; or both are asked for, or several processes.
    """
    settings, manager = state.settings, state.config.pluginmanager
    if settings.shard is not None and settings.merge:
        raise usage_error("--slmsec-shard measures a part and --slmsec-merge puts the parts together: give one.")
    if state.is_distributed:
        raise usage_error(f"{'--slmsec-merge' if settings.merge else '--slmsec-shard'} {NO_WORKERS}.")
    if settings.shard is not None:
        manager.register(ShardPlugin(state, settings.shard), "slmsec-shard")
        return None
    if state.config.option.collectonly:
        return None
    try:
        merged = Merged.read(settings.merge)
    except SlmsecError as error:
        raise usage_error(error) from None
    manager.register(MergePlugin(state, merged), "slmsec-merge")
    return merged


class ShardPlugin:
    """Registered for one part of a run: leaves out all test cases but those of the part."""

    def __init__(self, state: SessionState, shard: Shard) -> None:
        self._state, self._shard = state, shard
        self._size = ""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Keep the windows of this part, once all others have selected and reordered."""
        yield
        cases = [item for item in items if case_of(item) is not None]
        mine = set(part_of(items, self._shard, self._state.settings.window))
        spans = spans_of(place for place, item in enumerate(cases) if item in mine)
        facts = ShardFacts(self._shard, plan_of(items), len(cases), spans)
        left_out = [item for item in items if item not in mine]
        self._size = f"{len(mine):,} of {counted(len(cases), 'test case')}"
        items[:] = [item for item in items if item in mine]
        self._state.config.hook.pytest_deselected(items=left_out)
        self._state.run.is_shard(facts)

    def pytest_report_collectionfinish(self) -> str:
        """Say how large the part is."""
        return f"slmsec: shard {self._shard}: {self._size}; nothing is judged before --slmsec-merge"

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """Write down that the part is whole. A part without any test case is none the worse for it."""
        measured_all = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        empty = session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not session.items
        if empty:
            session.exitstatus = pytest.ExitCode.OK
        stopped = session.shouldstop or session.shouldfail or self._state.stopped_early
        if (measured_all or empty) and not stopped and not self._state.config.option.collectonly:
            self._state.run.end_shard()
        return (yield)


class MergePlugin:
    """Registered for a run that is put together: sees that its test cases are those of the parts."""

    def __init__(self, state: SessionState, merged: Merged) -> None:
        self._state, self._merged = state, merged

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> Generator[None, None, None]:
        """Compare, once all others have selected and reordered."""
        yield
        try:
            self._merged.check_plan(plan_of(items))
        except UsageError as error:
            raise usage_error(error) from None
        self._state.run.merge(self._merged)

    def pytest_report_header(self) -> str:
        """Say where the answers come from."""
        return f"slmsec: answers of {counted(len(self._merged.shards), 'shard')}, merged; no model is loaded"


def plan_of(items: Sequence[pytest.Item]) -> str:
    """A digest of the ids of all test cases, in order; tests that ask no model do not count."""
    return sha256_json([item.nodeid for item in items if case_of(item) is not None])


def part_of(items: Sequence[pytest.Item], shard: Shard, window: int) -> list[pytest.Item]:
    """The test cases of one part. It begins and ends at the borders of windows, and its models stay together.

    Args:
        items: all tests of the run, in order. window: largest number of test cases of a window.
    """
    keyed = [((case.evaluation, case.evaluation.model), item) for item in items if (case := case_of(item)) is not None]
    window_of = cut(keyed, window)
    windows = shard.part(list(dict.fromkeys(window_of.values())))
    return [item for one in windows for item in one.cases]
